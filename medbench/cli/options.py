"""Options that mean the same everywhere, and what they are turned into."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medbench.errors import UsageError, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from medbench.catalog import Catalog, Place
    from medbench.evaluators.judging import Judging
    from medbench.inference.purse import Purse
    from medbench.inference.types import Model, Options
    from medbench.judges import Panel

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Where everything is kept.", envvar="MEDBENCH_HOME", show_envvar=True),
]
Mirror = Annotated[
    Path | None,
    typer.Option(
        "--mirror",
        help="A folder with the sources, in the Hub's layout or their original files.",
        envvar="MEDBENCH_MIRROR",
        show_envvar=True,
    ),
]
CatalogFiles = Annotated[
    list[Path] | None,
    typer.Option("--catalog", help="A catalog of your own, beside the packaged one (repeatable)."),
]
Lock = Annotated[
    Path | None,
    typer.Option(
        "--lock",
        help="The lock file of source revisions. Default: medbench.lock in the home folder.",
        envvar="MEDBENCH_LOCK",
        show_envvar=True,
    ),
]
UpdateLock = Annotated[
    list[str] | None,
    typer.Option("--update-lock", help="Pin this source anew, at what is there now (repeatable)."),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Override a config value: key.path=value (repeatable).")
]
JudgeSet = Annotated[
    list[str] | None,
    typer.Option("--set", help="How the judge's replies are drawn: max_tokens=64 (repeatable)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; ask and change nothing.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Begin a numbered new attempt instead of going on.")]
ModelSpec = Annotated[str, typer.Option("--model", "-m", help="Whom to ask: openai:NAME@URL, local:PATH, …")]
SuiteName = Annotated[str | None, typer.Option("--suite", "-s", help="A suite of the catalog.")]
Benchmarks = Annotated[list[str] | None, typer.Option("--benchmark", "-b", help="A benchmark (repeatable).")]
Samples = Annotated[int | None, typer.Option("--samples", min=1, help="Replies per question.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Questions per benchmark at most.")]
PromptName = Annotated[str | None, typer.Option("--prompt", help="A prompt for all benchmarks.")]
ProtocolName = Annotated[str | None, typer.Option("--protocol", help="generate or loglikelihood.")]
Solver = Annotated[
    str | None, typer.Option("--solver", help="Who measures difficulty: the policy that is to be trained.")
]
Teacher = Annotated[
    list[str] | None,
    typer.Option(
        "--teacher",
        help="Who writes questions. An address alone means Qwen2.5-VL-72B-Instruct there; repeat it for "
        "several servers at once.",
    ),
]
Checker = Annotated[
    str | None, typer.Option("--checker", help="Who gives the second opinion. Default: the teacher.")
]
Auditor = Annotated[
    str | None, typer.Option("--auditor", help="Who looks through a curriculum's open questions.")
]
Parent = Annotated[str | None, typer.Option("--from", help="The dataset a curriculum is cut from.")]
Order = Annotated[str | None, typer.Option("--order", help="closed-open, easy-hard, levels or mix.")]
Called = Annotated[str | None, typer.Option("--name", help="What to call the dataset.")]
AcceptShort = Annotated[
    bool, typer.Option("--accept-short", help="Publish what there is where a quota cannot be filled.")
]
Blind = Annotated[bool, typer.Option("--blind", help="Also ask without the images, as a control.")]
Swap = Annotated[bool, typer.Option("--swap", help="Also ask with another question's images, as a control.")]
Judges = Annotated[
    list[str] | None,
    typer.Option(
        "--judge",
        help="Who judges what the rules leave: NAME=MODEL, or MODEL for the judge equivalence; "
        "several make a panel. See 'medbench list judges'.",
    ),
]
JudgeAll = Annotated[
    bool, typer.Option("--judge-all", help="Judge every reply, also what the rules could decide.")
]
PanelVerdict = Annotated[str, typer.Option("--panel", help="Verdict of several judges: majority or mean.")]
ReuseVerdicts = Annotated[
    bool, typer.Option("--reuse-verdicts", help="Use verdicts on equal cases from earlier runs.")
]
MaxPixels = Annotated[
    int | None, typer.Option("--max-pixels", min=784, help="Shrink larger images before sending them.")
]
ImagePaths = Annotated[
    bool, typer.Option("--image-paths", help="Send file:// paths of images, to a server on this machine.")
]
Tolerance = Annotated[
    float, typer.Option("--tolerance", min=0.0, max=1.0, help="Exit 1 when a greater share is unscored.")
]
Concurrency = Annotated[
    int, typer.Option("--concurrency", min=1, help="Requests in flight to a server at most.")
]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds one request may take.")]
Retries = Annotated[int, typer.Option("--retries", min=0, help="Further tries of a failed request.")]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Prompts per batch of a local model.")]
PriceOption = Annotated[
    str | None, typer.Option("--price", help="US dollars per million tokens, IN,OUT: shows and limits cost.")
]
MaxCost = Annotated[
    float | None,
    typer.Option(
        "--max-cost",
        min=0.0,
        help="Send nothing further once this many US dollars are spent (needs --price).",
    ),
]


def home_of(home: Path | None) -> Path:
    """The home folder that was asked for, else the default."""
    from medbench.files import default_home

    return (home or default_home()).expanduser()


def place_of(
    home: Path | None, mirror: Path | None, lock: Path | None = None, relock: list[str] | None = None
) -> "Place":
    """Where sources come from and go; the sources in `relock` lose their pin."""
    from medbench.catalog import Place

    if mirror is not None and not mirror.is_dir():
        raise UsageError(f"--mirror {mirror} is not a folder")
    folder = home_of(home)
    place = Place(folder, mirror, lock or folder / "medbench.lock")
    if relock:
        from medbench.sources import unlock

        pinned = json.loads(place.lock.read_text()) if place.lock.is_file() else {}
        for name in set(relock) - set(pinned):
            raise unknown("pinned source", name, pinned)
        unlock(relock, place)
    return place


def catalog_of(extra: list[Path] | None) -> "Catalog":
    """The packaged catalog with the user's own beside it."""
    from medbench.catalog import Catalog

    more = [Path(p) for p in os.environ.get("MEDBENCH_CATALOG", "").split(os.pathsep) if p]
    return Catalog.load([*more, *(extra or [])])


def purse_of(text: str | None, most: float | None) -> "Purse":
    """`--price IN,OUT` and `--max-cost` as a purse."""
    from medbench.inference.purse import Purse

    if text is None:
        if most is not None:
            raise UsageError(
                "--max-cost needs --price", "give US dollars per million tokens: --price 0.15,0.60"
            )
        return Purse()
    try:
        per_in, per_out = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--price '{text}' is not two numbers", "for example --price 0.15,0.60") from None
    if not (0 <= per_in < float("inf") and 0 <= per_out < float("inf")):
        raise UsageError(f"--price '{text}' must be two amounts of money", "for example --price 0.15,0.60")
    return Purse(per_in, per_out, most)


def model_of(spec: str, home: Path, options: "Options") -> "Model":
    """The model a spec names; `local:` also takes the name of a training run in `home`."""
    from medbench.inference import open_model

    return open_model(trained(spec, home), options)


def judging_of(
    specs: list[str] | None,
    panel: str,
    everything: bool,
    reuse: bool,
    known: "Catalog",
    home: Path,
    running: "Options",
    sampling: "Mapping[str, Any] | None" = None,
    pairs: bool = False,
) -> "Judging | None":
    """Who judges by `--judge` and its fellows, None where nobody does.

    `pairs` asks for a judge of pairs of replies, else of single ones.
    """
    from medbench.evaluators.judging import Judging

    if not specs:
        given = {"--judge-all": everything, "--reuse-verdicts": reuse, "--panel": panel != "majority"}
        given |= {"--set for a judge's replies": bool(sampling)}
        for option in (option for option, wanted in given.items() if wanted):
            raise UsageError(f"{option} needs a judge", "give --judge [NAME=]MODEL")
        return None
    found = panel_of(specs, known, home, running, panel, sampling)
    name = found.seats[0].name
    if found.judge.sees("other") != pairs:
        what = "replies one by one" if pairs else "pairs of replies"
        fix = "--judge preference=MODEL" if pairs else f"medbench diff RUN RUN --judge {name}=MODEL"
        raise UsageError(f"judge '{name}' judges {what}", fix)
    return Judging(found, everything, home if reuse else None)


def panel_of(
    specs: list[str],
    known: "Catalog",
    home: Path,
    running: "Options",
    verdict: str = "majority",
    sampling: "Mapping[str, Any] | None" = None,
) -> "Panel":
    """The panel that `--judge` and `--panel` name."""
    from typing import get_args

    from medbench.judges import panel

    if verdict not in get_args(panel.Verdicts):
        raise unknown("way to a panel's verdict", verdict, get_args(panel.Verdicts))
    if verdict == "mean" and len(specs) < 2:
        raise UsageError("--panel mean needs several judges", "repeat --judge")
    return panel.seated(
        specs,
        known,
        lambda spec: model_of(spec, home, running),
        verdict=verdict,  # type: ignore[arg-type]
        sampling=sampling,
    )


def trained(spec: str, home: Path) -> str:
    """`local:RUN` as `local:<folder of the run's model>`; any other spec as it is."""
    kind, _, rest = spec.partition(":")
    model = home / "runs" / rest / "model"
    if kind == "local" and rest and "/" not in rest and not Path(rest).exists() and model.is_dir():
        return f"local:{model}"
    return spec


def home_flag(home: Path | None) -> str:
    """What a suggested command needs to find this home: nothing for the default one."""
    from medbench.files import default_home

    return f" --home {home}" if home and home.resolve() != default_home().resolve() else ""
