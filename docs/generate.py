"""Writes what can be generated: cli.md, benchmarks.md, the tables of reading.md, med-zero.md, judges.md."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from medbench import references, taxonomy
from medbench.catalog import Benchmark, Catalog, Source, Suite
from medbench.cli import app
from medbench.judges.labels import packaged
from medbench.parity import PROFILES
from medbench.prompts import load, of
from medbench.schema import Example
from medbench.verify import RULES, read

HERE = Path(__file__).parent


def cli() -> str:
    """Every command with its help and options."""
    parts = [
        "# Command line",
        "Generated from the program by `make docs`. Results go to stdout, talk to stderr. Exit codes: "
        "0 done, 1 it ran and failed or too much is unscored, 2 wrong command or config, 3 something "
        "outside is missing, 130 interrupted. MEDBENCH_HOME, MEDBENCH_MIRROR, MEDBENCH_LOCK and "
        "MEDBENCH_CATALOG stand for the options of those names.",
    ]
    for name, command in commands(typer.main.get_command(app)):
        *about, example = (command.help or "").strip().split("\n\n")
        parts += [f"## medbench {name}", *about, f"```\n{example.removeprefix('Example: ')}\n```"]
        rows = [option(parameter) for parameter in command.params if parameter.name != "help"]
        parts.append("\n".join(["| argument or option | what it does | default |", "|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command with its full name, those of groups too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def option(parameter: Any) -> str:
    """One row of an option table."""
    names = parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()]
    default = parameter.default
    shown = "" if default in (None, False, (), []) or callable(default) else str(default)
    words = " ".join((parameter.help or "").split()).replace("|", "\\|")
    return f"| `{', '.join(names)}` | {words} | {shown} |"


def benchmarks() -> str:
    """Every benchmark, suite and source of the catalog."""
    catalog = Catalog.load()
    parts = ["# Benchmarks", "Generated from `catalog.yaml` by `make docs`."]
    for name, row in catalog.benchmarks.items():
        source = catalog.sources[row.source]
        facts = {
            "questions": f"{row.size:,}" if row.size else "not fixed",
            "source": f"`{row.source}`" + (f", Hub `{source.hub}`" if source.hub else ""),
            "split": row.split + (f", a sample of {row.sample:,} by id" if row.sample else ""),
            "images": pictures(source),
            "variants": ", ".join(f"`{n}`" for n in variants(catalog, name)),
            "licence": source.license + (", gated" if source.gated else ""),
            "prompt": f"`{row.prompt}`: {load()[row.prompt].origin}",
            "scoring": scoring(row),
            "notes": row.notes,
            "known defects": row.defects,
            "cite": row.cite or source.cite,
        }
        lines = [f"- **{key}**: {' '.join(str(value).split())}" for key, value in facts.items() if value]
        parts += [f"## {name}", "\n".join(lines), *published(name)]
    suites = "\n".join(suite(name, row) for name, row in catalog.suites.items())
    return "\n\n".join([*parts, "## Suites", suites, *protocols()]) + "\n"


def suite(name: str, row: Suite) -> str:
    """A suite in one line."""
    parts = "; ".join(f"{part}: {', '.join(names)}" for part, names in row.parts.items())
    origin = f" ({row.provenance})" if row.provenance else ""
    notes = f" {' '.join(row.notes.split())}" if row.notes else ""
    return f"- **{name}**: {row.title}{origin}: {parts or ', '.join(row.benchmarks)}.{notes}"


def variants(catalog: Catalog, name: str) -> list[str]:
    """The other benchmarks on the same data."""
    title = catalog.sources[catalog.benchmarks[name].source].cite
    same = {n for n, s in catalog.sources.items() if s.cite == title}
    return [other for other, row in catalog.benchmarks.items() if row.source in same and other != name]


def pictures(source: Source) -> str:
    """Where the images are."""
    found = source.pictures
    size = f" ({found.size})" if found.size else ""
    return f"{', '.join(found.files)}{size}" if found.files or found.size else ""


def scoring(row: Benchmark) -> str:
    """How a reply is graded."""
    words = "accuracy; see [how an answer is read](reading.md)"
    if row.prompt.startswith("vqa"):
        return f"{words}; answers in words also by exact match, token F1, recall, BLEU and ROUGE"
    return words


def published(name: str) -> list[str]:
    """The reference numbers of a benchmark and of its variants, a row per protocol."""
    rows: dict[tuple[str, str], list[references.Reference]] = {}
    for figure in [*references.of(name), *references.near(name)]:
        rows.setdefault((figure.protocol, figure.benchmark), []).append(figure)
    if not rows:
        return []
    lines = ["| protocol | what was measured | published |", "|---|---|---|"]
    for (protocol, measured), found in rows.items():
        values = "; ".join(f"{f.model} {f.value:.3f}{'?' if f.doubtful else ''}" for f in found)
        variant = f"of a variant, not comparable: {measured}: " if found[0].near else ""
        lines.append(f"| [{protocol}](#protocol-{protocol}) | {variant}{found[0].measured} | {values} |")
    return ["\n".join(lines)]


def protocols() -> list[str]:
    """Where published numbers come from, and how they were measured."""
    parts = [
        "## Protocols of published numbers",
        "One model moves by up to 20 points between protocols, so compare within one only. A question mark "
        "marks a figure that should not be relied on; `secondary` is known by way of someone else.",
    ]
    for name, protocol in references.load().items():
        facts = {
            "source": f"{protocol.source} ({protocol.provenance})",
            "prompt": protocol.prompt,
            "scoring": protocol.scoring,
            "note": protocol.note,
        }
        lines = [f"- **{key}**: {' '.join(value.split())}" for key, value in facts.items() if value]
        parts += [f"### Protocol {name}", f"{protocol.title}.", "\n".join(lines)]
    return parts


DRUGS = ("Heparin", "Warfarin", "Aspirin", "Vitamin D")
ASKED = Example("q", "mcq", "Which drug irreversibly inhibits cyclooxygenase?", ("C",), DRUGS)
USUAL = ("C", "Answer: C", "The answer is (C).")
TRAPS = (
    "B or C",
    "The answer is not C.",
    "C is incorrect.",
    "A 45-year-old man has chest pain.",
    "The answer is vitamin D.",
    "He carries hepatitis B.",
    "A. Heparin\nB. Warfarin\nC. Aspirin\nD. Vitamin D",
    "The options are (A), (B), (C) and (D).",
    r"\boxed{A} \boxed{B} \boxed{C} \boxed{D}",
    "<think>The answer is A.</think>The answer is C.",
    "The answer is A. On reflection, the answer is C.",
    "Answer: Z",
    "It blocks platelets for good.",
    "",
)


def code(text: str) -> str:
    """A reply as it can stand in a cell of a table."""
    shown = text.replace("\n", " ⏎ ").replace("|", "\\|")
    return f"`{shown}`" if text else "(empty)"


def rules() -> str:
    """The rules in their order."""
    rows = ["| rule | kinds | counts in a cut reply | what counts | example |", "|---|---|---|---|---|"]
    for rule in RULES:
        kinds = "all" if len(rule.kinds) > 6 else ", ".join(sorted(rule.kinds))
        cut = "yes" if rule.explicit else "at its beginning" if rule.early else "no"
        meaning = " ".join((rule.find.__doc__ or "").split("\n\n")[0].split())
        rows.append(f"| `{rule.name}` | {kinds} | {cut} | {meaning} | {code(rule.example)} |")
    return "\n".join(rows)


def replies() -> list[str]:
    """The replies of the comparison: usual ones, each rule's example for multiple choice, traps."""
    return [*USUAL, *dict.fromkeys(rule.example for rule in RULES if "mcq" in rule.kinds), *TRAPS]


def comparison() -> str:
    """What medbench and every peer read in each of the replies."""
    shown = replies()
    listed = "\n".join(f"{number}. {code(reply)}" for number, reply in enumerate(shown, 1))
    head = "| reader | " + " | ".join(str(number) for number in range(1, len(shown) + 1)) + " |"
    rows = [head, "|---" * (len(shown) + 1) + "|"]
    rows.append("| **medbench** | " + " | ".join(read(reply, ASKED).answer or "·" for reply in shown) + " |")
    for name, profile in PROFILES.items():
        if "mcq" in profile.kinds:
            marks = [profile.grade(reply, ASKED) for reply in shown]
            cells = [(mark.answer or "·") + ("?" if mark.how == "guessed" else "") for mark in marks]
            rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return listed + "\n\n" + "\n".join(rows)


def peers() -> str:
    """Every profile: its peer, kinds, rule and flaw."""
    rows = ["| profile | stands for | kinds | rule | known flaw |", "|---|---|---|---|---|"]
    for name, profile in PROFILES.items():
        kinds = ", ".join(sorted(profile.kinds))
        cells = (profile.peer, kinds, profile.rule, profile.flaw)
        rows.append(f"| `{name}` | " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def tasks() -> str:
    """The clinical tasks by level, with what each asks."""
    rows = ["| level | task | asks |", "|---|---|---|"]
    for name, task in taxonomy.TASKS.items():
        rows.append(f"| {task.level}, {taxonomy.LEVELS[task.level]} | {name} | {task.about} |")
    return "\n".join(rows)


def modalities() -> str:
    """The modalities, and which labels of which source stand for each."""
    told: dict[str, list[str]] = {name: [] for name in taxonomy.MODALITIES}
    for labels in taxonomy.TABLE.modality_labels:
        for label, name in labels.values.items():
            if name:
                told[name].append(f"{label} ({', '.join(labels.sources)})")
    rows = ["| modality | labels that stand for it |", "|---|---|"]
    return "\n".join([*rows, *(f"| {name} | {'; '.join(told[name])} |" for name in told)])


BUILDERS = ("draft-question", "check-support", "tag-question")


def wordings(names: Iterable[str]) -> str:
    """Some prompts, with their hashes."""
    rows = []
    for name in names:
        prompt = load()[name]
        said = f"{prompt.system}\n\n{prompt.user}" if prompt.system else prompt.user
        rows.append(f"`{name}` ({prompt.hash}). {prompt.origin}\n\n```\n{said}\n```")
    return "\n\n".join(rows)


def judges() -> str:
    """Every packaged judge."""
    rows = [
        "| judge | verdicts | sees the gold | rule | paper's judge | provenance |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in Catalog.load().judges.items():
        worth = ", ".join(f"{label} = {value:.3g}" for label, value in row.worth.items())
        kinds = "; next-token likelihood" if row.protocol == "loglikelihood" else f"; {row.form}"
        seen = "yes" if row.sees("gold") else "no"
        cite = f"{row.provenance}: {row.cite}" if row.cite else row.provenance
        cells = [f"`{name}`: {row.title}", f"{worth}{kinds}", seen, row.rule, row.published, cite]
        rows.append("| " + " | ".join(cells) + " |")
    notes = [f"- `{n}`: {' '.join(r.notes.split())}" for n, r in Catalog.load().judges.items() if r.notes]
    return "\n".join(rows) + "\n\n" + "\n".join(notes)


def labelled() -> str:
    """How many rows the packaged labelled set has, by aspect, and which judges are held against them."""
    lines = packaged().read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    users: dict[str, list[str]] = {}
    for name, row in Catalog.load().judges.items():
        users.setdefault(row.aspect, []).append(f"`{name}`")
    rows = [
        "| aspect | rows | questions | rows by label | what is tested | judges |",
        "|---|---|---|---|---|---|",
    ]
    for aspect in dict.fromkeys(item["aspect"] for item in found):
        part = [item for item in found if item["aspect"] == aspect]
        labels = Counter(str(item["label"]) for item in part)
        slices = Counter(item["slice"] for item in part)
        told = ", ".join(f"{label}: {labels[label]}" for label in sorted(labels))
        tested = ", ".join(f"{name} {count}" for name, count in slices.most_common())
        clusters = len({item["cluster"] for item in part})
        rows.append(
            f"| {aspect} | {len(part)} | {clusters} | {told} | {tested} | {', '.join(users[aspect])} |"
        )
    return f"{len(found)} rows.\n\n" + "\n".join(rows)


def filled(page: str, parts: dict[str, str]) -> str:
    """A page with its generated parts made anew; the rest of it is written by hand."""
    text = (HERE / page).read_text(encoding="utf-8")
    for name, part in parts.items():
        marked = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.S)
        text = marked.sub(lambda match, part=part: f"{match[1]}\n{part}\n\n{match[2]}", text)  # type: ignore[misc]
    return text


def pages() -> dict[str, str]:
    """File name -> text."""
    return {
        "cli.md": cli(),
        "benchmarks.md": benchmarks(),
        "reading.md": filled("reading.md", {"rules": rules(), "comparison": comparison(), "peers": peers()}),
        "med-zero.md": filled(
            "med-zero.md", {"tasks": tasks(), "modalities": modalities(), "prompts": wordings(BUILDERS)}
        ),
        "judges.md": filled(
            "judges.md", {"judges": judges(), "labels": labelled(), "prompts": wordings(of("judge"))}
        ),
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
