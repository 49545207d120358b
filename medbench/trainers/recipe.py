"""A recipe: what a system trained, on what, how, and what to expect; one YAML file each.

No number stands alone. Every hyper-parameter carries where it comes from, and a recipe that names no
number to expect is refused, so that a rebuilt system can always be held against the published one.
A twin (`like: alphamed`) states only what differs; expected numbers are never inherited, because the
twin has to earn its own.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Self, TypeVar, get_args

import pydantic

from medbench import prompts
from medbench.catalog import Catalog
from medbench.config import Config, override, parse, read_yaml
from medbench.errors import UsageError, unknown
from medbench.inference import open_model
from medbench.inference.local import fingerprint
from medbench.inference.names import lasting_name
from medbench.judges.panel import Panel, Seat, Verdicts
from medbench.rubrics import Judge
from medbench.trainers import rewards

FOLDER = Path(__file__).parent / "recipes"

Provenance = Literal["stated", "code", "third_party", "reconstruction", "ours", "user"]
CITED = ("stated", "code", "third_party")
NO_EFFECT = ("save_every", "gradient_accumulation")
"""Hyper-parameters that do not change what is learned, so that they may change while a training goes on."""

T = TypeVar("T")
AtLeast0 = Annotated[int, pydantic.Field(ge=0)]
AtLeast1 = Annotated[int, pydantic.Field(ge=1)]
AtLeast2 = Annotated[int, pydantic.Field(ge=2)]
Positive = Annotated[float, pydantic.Field(gt=0)]
NotNegative = Annotated[float, pydantic.Field(ge=0)]
Share = Annotated[float, pydantic.Field(ge=0, le=1)]
PositiveShare = Annotated[float, pydantic.Field(gt=0, le=1)]


class Value(Config, Generic[T]):
    """A hyper-parameter and where it comes from."""

    model_config = pydantic.ConfigDict(allow_inf_nan=False)

    value: T
    provenance: Provenance
    """stated by the authors, read in their code, said by others, rebuilt by us, ours, or set by the user."""
    source: str = ""
    """The place that says so; required for the first three."""

    @pydantic.model_validator(mode="after")
    def _cited(self) -> Self:
        if self.provenance in CITED and not self.source:
            raise ValueError(f"provenance '{self.provenance}' needs a source")
        return self


class Expected(Config):
    """A number someone reached with this recipe, or claims to have."""

    benchmark: str
    """Benchmark or suite."""
    metric: str
    value: float
    model: str
    provenance: Provenance | Literal["unverified"]
    source: str = pydantic.Field(min_length=1)


class Recipe(Config):
    """What every recipe says, whatever its algorithm."""

    name: str = pydantic.Field(pattern="^[a-z0-9][a-z0-9._-]*$")
    """Begins the names of its runs' folders."""
    about: str = ""
    like: str | None = None
    """The recipe this one was derived from."""
    trainer: Literal["trl"]
    model: str
    """Hub id, local folder or `tiny:…`."""
    dataset: str
    prompt: str
    """Name in prompts.yaml."""
    expect: tuple[Expected, ...] = pydantic.Field(min_length=1)

    steps: Value[AtLeast1]
    """Batches asked for; a model update each, unless `updates_per_step` says otherwise."""
    learning_rate: Value[Positive]
    lr_schedule: Value[Literal["constant", "constant_with_warmup", "linear", "cosine"]]
    warmup_steps: Value[AtLeast0]
    weight_decay: Value[NotNegative]
    max_grad_norm: Value[NotNegative]
    gradient_accumulation: Value[AtLeast1]
    """Parts an update's batch is computed in. Saves memory and changes nothing else."""
    lora_rank: Value[AtLeast0]
    """0 trains every weight."""
    max_prompt_tokens: Value[AtLeast1]
    """Rows with a longer prompt are left out."""
    max_completion_tokens: Value[AtLeast1]
    option_orders: Value[AtLeast1]
    """Times each multiple-choice question enters the table, each in another seeded order of options."""
    fresh_options: Value[bool]
    """Further orders also draw their wrong options anew, from the answers of the same category (a tag)."""
    save_every: Value[AtLeast0]
    """Steps between checkpoints; 0 keeps none."""
    seed: Value[Annotated[int, pydantic.Field(ge=0, lt=2**32)]]

    @pydantic.field_validator("prompt")
    @classmethod
    def _known_prompt(cls, name: str) -> str:
        prompts.named(name)
        return name

    def plain(self) -> dict[str, Any]:
        """The hyper-parameters by name, without their provenance."""
        held = {name: getattr(self, name) for name in hyper_parameters(type(self))}
        return {name: held[name].value for name in held}

    def deciding(self) -> dict[str, Any]:
        """All that decides the trained model besides the examples; no names, notes or provenance.

        A local starting model counts by the content of its files, a prompt by its wording.
        """
        plain = self.plain()
        notes = {"name", "about", "like", "dataset", "expect", *plain}
        return {
            **self.model_dump(mode="json", exclude=notes),
            "model": self.model + fingerprint(Path(self.model)),
            "prompt": f"{self.prompt}#{prompts.named(self.prompt).hash}",
            **{name: plain[name] for name in plain if name not in NO_EFFECT},
        }


class Sft(Recipe):
    """Supervised fine-tuning: a warm start, mostly of the format."""

    algorithm: Literal["sft"]
    reply: str
    """What is taught to say; `{answer}` becomes the words of the answer, `{letter}` its letter."""
    rows_per_step: Value[AtLeast1]
    teach_share: Value[Share]
    """Share of facts whose gold is taught; the others get a random option, which teaches the format only."""
    word_dropout: Value[Share]
    """Half of the questions lose words, each at a chance drawn up to this; 0 leaves all as they are."""

    @pydantic.model_validator(mode="after")
    def _divides(self) -> Self:
        must_divide("rows_per_step", self.rows_per_step.value, self.gradient_accumulation.value)
        return self


class RewardJudge(Config):
    """A judge at work as a reward: which model plays it, and how long a step waits for it."""

    model: str | tuple[str, ...]
    """`openai:NAME@URL`, …; several make a panel."""
    panel: Verdicts = "majority"
    timeout: Positive = 120.0
    """Seconds a step waits at most for all verdicts; what is missing by then is no opinion."""
    concurrency: AtLeast1 = 32
    retries: AtLeast0 = 1
    provenance: Provenance = "user"
    source: str = ""
    row: Judge | None = None
    """The judge's row of the catalog, put here when the training is prepared."""

    @property
    def models(self) -> tuple[str, ...]:
        """The models, one a seat."""
        return (self.model,) if isinstance(self.model, str) else self.model

    @property
    def identity(self) -> dict[str, Any]:
        """What of it decides a verdict: not addresses, nor how long is waited."""
        names = sorted(lasting_name(model) for model in self.models)
        return {"models": names, "panel": self.panel, "judge": self.row.hash if self.row else None}


class Grpo(Recipe):
    """Group relative policy optimisation against rewards."""

    algorithm: Literal["grpo"]
    rewards: dict[str, pydantic.FiniteFloat] = pydantic.Field(min_length=1)
    """Weight by reward: a name in `trainers.rewards`, `judge:NAME`, or `package.module:function`."""
    judges: dict[str, RewardJudge] = pydantic.Field(default_factory=dict)
    """Who plays the judges among the rewards, by the judge's name."""
    shuffle_rewards: bool = False
    """Control run: rewards are dealt out at random within each batch, so nothing can be learned."""
    group_size: Value[AtLeast2]
    """Replies per prompt."""
    prompts_per_step: Value[AtLeast1]
    updates_per_step: Value[AtLeast1]
    """Model updates the replies of one step are split into."""
    loss_type: Value[Literal["grpo", "dr_grpo", "dapo", "bnpo"]]
    scale_rewards: Value[Literal["group", "batch", "none"]]
    """Advantages are divided by the deviation in the group, in the batch, or not: group, batch, none."""
    kl_beta: Value[NotNegative]
    kl_bias_correction: Value[bool]
    clip_low: Value[NotNegative]
    clip_high: Value[NotNegative]
    temperature: Value[Positive]
    top_p: Value[PositiveShare]
    mask_truncated: Value[bool]
    """Leave truncated replies out of the loss, instead of only not paying them."""

    @pydantic.model_validator(mode="after")
    def _divides(self) -> Self:
        replies = self.prompts_per_step.value * self.group_size.value
        parts = self.updates_per_step.value * self.gradient_accumulation.value
        must_divide("prompts_per_step × group_size", replies, parts)
        return self

    @pydantic.model_validator(mode="after")
    def _played(self) -> Self:
        judges = {name.removeprefix(rewards.JUDGE) for name in self.rewards if name.startswith(rewards.JUDGE)}
        for name in sorted(judges - set(self.judges)):
            raise ValueError(f"reward 'judge:{name}' names no model; set judges.{name}.model=openai:NAME@URL")
        for name in sorted(set(self.judges) - judges):
            raise ValueError(f"judges.{name} plays in no reward; give it a weight: rewards.judge:{name}=0.5")
        return self

    def deciding(self) -> dict[str, Any]:
        """As of every recipe; judges by what decides their verdicts."""
        plain = super().deciding()
        del plain["judges"]
        judges = {name: judge.identity for name, judge in sorted(self.judges.items())}
        return plain | ({"judges": judges} if judges else {})

    @pydantic.field_validator("rewards")
    @classmethod
    def _known_rewards(cls, weights: dict[str, float]) -> dict[str, float]:
        for name in weights:
            rewards.resolve(name)
        return weights


ALGORITHMS: dict[str, type[Sft] | type[Grpo]] = {"sft": Sft, "grpo": Grpo}


def must_divide(what: str, batch: int, parts: int) -> None:
    """Refuse a batch that gradient_accumulation cannot split evenly."""
    if batch % parts:
        raise ValueError(f"gradient_accumulation: {what} = {batch} cannot be split into {parts} equal parts")


def hyper_parameters(model: type[Recipe]) -> list[str]:
    """The fields of a recipe that carry provenance."""
    kinds = {name: field.annotation for name, field in model.model_fields.items()}
    return [name for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, Value)]


def names() -> list[str]:
    """The packaged recipes."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str, settings: Iterable[str] = ()) -> Sft | Grpo:
    """The recipe called `name` (or in the YAML file `name`), with `key=value` settings applied."""
    path = find(name)
    tree: dict[str, Any] = {"name": path.stem, **inherited(path)}
    algorithm = tree.get("algorithm")
    if algorithm not in ALGORITHMS:
        near = unknown("algorithm", str(algorithm), ALGORITHMS)
        raise UsageError(f"recipe '{path.stem}': {near.what}", near.fix)
    model = ALGORITHMS[algorithm]
    provenance_given(tree, model, where=path.stem)
    return parse(model, overridden(tree, settings, model=model), f"recipe '{path.stem}'")


def find(name: str, beside: Path | None = None) -> Path:
    """The file of a recipe: a packaged name, or a path (of another recipe: relative to that one)."""
    if name.endswith((".yaml", ".yml")):
        path = (beside or Path()) / Path(name).expanduser()
        if not path.is_file():
            raise UsageError(f"no recipe file {path}", f"packaged recipes: {', '.join(names())}")
        return path
    if name not in names():
        raise unknown("recipe", name, names())
    return FOLDER / f"{name}.yaml"


def inherited(path: Path, seen: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The tree of a recipe file over the tree of the recipe it is like."""
    if path in seen:
        raise UsageError(f"recipe '{path.stem}' is like itself: {' → '.join(p.stem for p in (*seen, path))}")
    tree = read_yaml(path)
    if tree.get("like") is None:
        return tree
    parent = inherited(find(str(tree["like"]), path.parent), (*seen, path))
    return {name: value for name, value in parent.items() if name not in {"about", "expect"}} | tree


def provenance_given(tree: Mapping[str, Any], model: type[Recipe], *, where: str) -> None:
    """Refuse a hyper-parameter written as a bare value."""
    for name in hyper_parameters(model):
        if name in tree and not isinstance(tree[name], dict):
            raise UsageError(
                f"recipe '{where}': '{name}' does not say where its value comes from",
                f"write {name}: {{value: {tree[name]}, provenance: ours, source: why}}; provenance is one of "
                f"{', '.join(get_args(Provenance))}",
            )


def overridden(tree: Mapping[str, Any], settings: Iterable[str], *, model: type[Recipe]) -> dict[str, Any]:
    """`tree` with settings applied; a hyper-parameter set by the user says so."""
    known, written, touched = set(hyper_parameters(model)), [], set()
    for setting in settings:
        key, sign, text = setting.partition("=")
        name = key.removesuffix(".value")
        if name in known:
            touched.add(name)
            setting = f"{name}.value{sign}{text}"
        written.append(setting)
    result = override(tree, written)
    for name in touched:
        result[name] |= {"provenance": "user", "source": "set on the command line"}
    return result


def with_judges(recipe: Sft | Grpo, catalog: Catalog) -> Sft | Grpo:
    """A recipe whose judges carry their rows of the catalog. Raises UsageError for judges that do not fit."""
    if isinstance(recipe, Sft) or not recipe.judges:
        return recipe
    rows = {name: catalog.judge(name) for name in recipe.judges}
    for name, row in rows.items():
        if row.sees("other"):
            raise UsageError(f"judge '{name}' judges pairs of replies", "a reward is for replies one by one")
        if not recipe.judges[name].models:
            raise UsageError(f"judges.{name}.model names no model", "openai:NAME@URL, or several in a list")
        Panel(tuple(Seat(name, row, open_model(model)) for model in recipe.judges[name].models))
    judges = {name: judge.model_copy(update={"row": rows[name]}) for name, judge in recipe.judges.items()}
    return recipe.model_copy(update={"judges": judges})
