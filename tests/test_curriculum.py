"""Curricula: orders, replays and weights, what is refused, the auditor, and trainers that keep the order."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from medbench import builders, difficulty, prompts, store, trainers
from medbench.builders import audit, stages
from medbench.builders.stages import Stage
from medbench.catalog import Catalog, Place
from medbench.errors import MedbenchError, UsageError
from medbench.images import Store
from medbench.schema import Example, frame
from medbench.stats import wilson
from medbench.store import Built
from medbench.trainers import order, session
from medbench.trainers import trl as worker
from tests.support import sights
from tests.support.openai_server import Faults, Server
from tests.support.process import medbench

CLOSED, OPEN = 12, 16
NAME = "bedside"


def example(number: int) -> Example:
    """Question `number` of a made-up dataset: the first ones closed, the others open."""
    if number < CLOSED:
        options = ("mild", "severe", "none", "both sides")
        text = f"How severe is finding {number}?"
        return Example(f"q/{number}", "mcq", text, ("ABCD"[number % 4],), options, source="starter")
    gold = (f"finding {number}",)
    return Example(f"q/{number}", "open", f"What is seen in view {number}?", gold, source="starter")


EXAMPLES = [example(number) for number in range(CLOSED + OPEN)]


def counted(
    rights: dict[str, int], *, samples: int = 5, solver: str = "openai:small", stopped: bool = False
) -> pl.DataFrame:
    """A table DIFFICULTY in which each question has so many right samples."""
    known = {e.id: difficulty.content(e) for e in EXAMPLES}
    rows = []
    for one, right in rights.items():
        bounds = wilson(right, samples)
        line: dict[str, Any] = dict.fromkeys(difficulty.DIFFICULTY)
        line |= {"dataset": NAME, "example": one, "content": known[one], "solver": solver}
        line |= {"prompt": "p@1", "temperature": 0.9, "top_p": 1.0, "max_tokens": 64, "seed": 0}
        line |= {"wanted": samples, "n_samples": samples, "n_scored": samples, "n_correct": right}
        line |= {"pass_rate": right / samples, "low": bounds.low, "high": bounds.high, "stopped": stopped}
        rows.append({name: line[name] for name in difficulty.DIFFICULTY})
    return pl.DataFrame(rows, schema=difficulty.DIFFICULTY)


RIGHTS = {e.id: number % 6 for number, e in enumerate(EXAMPLES)}


def publish(home: Path, rows: pl.DataFrame | None = None, counts: pl.DataFrame | None = None) -> Built:
    """The made-up dataset, with pass counts if any."""
    tables = {"rows": frame(EXAMPLES) if rows is None else rows}
    if counts is not None:
        tables["difficulty"] = counts
    return store.publish(home, NAME, tables=tables, card="# made up\n", identity={"made": "up"})


def sealed(home: Path, run: str, counts: pl.DataFrame, of: str = f"{NAME}@1") -> None:
    """A sealed run of `medbench difficulty`."""
    folder = home / "runs" / f"difficulty-{run}"
    folder.mkdir(parents=True)
    counts.write_parquet(folder / "difficulty.parquet")
    (folder / "manifest.json").write_text(json.dumps({"kind": "difficulty", "dataset": of}))


CATALOG = Catalog.load()


def build(home: Path, kind: str, *settings: str, short: bool = False) -> Built:
    """Build a curriculum."""
    place = Place.of(home, home)
    given = [f"dataset={NAME}", f"order={kind}", *settings]
    job = builders.prepare("curriculum", given, CATALOG, place, roles=())
    return builders.build(job, {}, short=short)


def refused(home: Path, kind: str, *settings: str) -> str:
    """What a build that is refused says, what to do included; nothing may be published."""
    before = len(store.versions(home, f"{NAME}-{kind}"))
    with pytest.raises(MedbenchError) as caught:
        build(home, kind, *settings)
    assert len(store.versions(home, f"{NAME}-{kind}")) == before
    return f"{caught.value.what} {caught.value.fix}"


def typed(home: Path, kind: str, *settings: str, code: int = 0, flags: tuple[str, ...] = ()) -> str:
    """Build a curriculum through the command line; gives what it says."""
    given = [part for setting in settings for part in ("--set", setting)]
    done = medbench(
        "build", "curriculum", "--from", NAME, "--order", kind, *given, *flags, home=home, code=code
    )
    return done.stdout + done.stderr


def table(home: Path, kind: str, name: str = "rows") -> pl.DataFrame:
    """A table of the newest version of a curriculum."""
    return store.dataset(home, f"{NAME}-{kind}").table(name)


def of(one: str) -> str:
    """The question an id is a repeat of."""
    return one.partition("~")[0]


# Orders


def test_closed_then_open(tmp_path: Path) -> None:
    """Closed questions come first, each once, in a seeded order; every column of the parent is kept."""
    publish(tmp_path)
    typed(tmp_path, "closed-open")
    rows = table(tmp_path, "closed-open")
    assert rows["place"].to_list() == list(range(CLOSED + OPEN))
    assert rows["kind"].to_list() == ["mcq"] * CLOSED + ["open"] * OPEN
    assert rows["stage"].to_list() == [1] * CLOSED + [2] * OPEN
    assert rows["stage_name"].unique(maintain_order=True).to_list() == ["closed", "open"]
    assert rows.columns == [*frame(EXAMPLES).columns, *stages.ADDED]
    ids = rows["id"].to_list()
    assert sorted(ids) == sorted(e.id for e in EXAMPLES) and ids[:CLOSED] != [e.id for e in EXAMPLES[:CLOSED]]
    assert rows["pass_rate"].null_count() == rows.height, "nobody measured them"
    before = {row["id"]: row for row in frame(EXAMPLES).to_dicts()}
    for row in rows.to_dicts():
        assert {name: row[name] for name in before[row["id"]]} == before[row["id"]]
    card = (store.dataset(tmp_path, f"{NAME}-closed-open").folder / "README.md").read_text()
    assert (
        "## Stages" in card and f"| 2 | open | {OPEN} | {OPEN} | 1 | unknown | kind is open or free |" in card
    )


def test_same_inputs_same_bytes(tmp_path: Path) -> None:
    """The same command makes no second version, and another home gets the same bytes; a seed changes them."""
    found = []
    for home in (tmp_path / "a", tmp_path / "b"):
        publish(home, counts=counted(RIGHTS))
        for _ in range(2):
            typed(home, "closed-open", "mode=replay", "weights={open: 1.5}")
        [built] = store.versions(home, f"{NAME}-closed-open")
        found.append(built.manifest)
    assert found[0] == found[1]
    build(tmp_path / "a", "closed-open", "mode=replay", "weights={open: 1.5}", "seed=1")
    assert store.dataset(tmp_path / "a", f"{NAME}-closed-open").version == 2


@pytest.mark.parametrize(
    ("opened", "share", "expected"), [(1000, 0.2, 111), (90, 0.2, 10), (8, 1.0, 8), (3, 0.1, 0), (5, 0.0, 0)]
)
def test_replay_count(opened: int, share: float, expected: int) -> None:
    """n open rows are joined by n · share / (2 - share) closed ones, rounded; open rows keep their order."""
    own = tuple(f"o{number}" for number in range(opened))
    mixed = stages.with_replay(Stage("open", own), ["c0", "c1", "c2"], share, 0)
    assert len(mixed.ids) == opened + expected
    assert tuple(one for one in mixed.ids if one.startswith("o")) == own
    often = Counter(one for one in mixed.ids if one.startswith("c"))
    assert not often or max(often.values()) - min(often.values()) <= 1 or expected < 3


def test_replay_decays_in_a_straight_line() -> None:
    """In tenths of the open stage the share of closed rows is what the line says, to one row in a tenth."""
    own = tuple(f"o{number}" for number in range(9000))
    mixed = stages.with_replay(Stage("open", own), [f"c{number}" for number in range(5000)], 0.2, 0).ids
    assert len(mixed) == 10000 and len({one for one in mixed if one.startswith("c")}) == 1000
    for tenth in range(10):
        part = mixed[1000 * tenth : 1000 * (tenth + 1)]
        closed = sum(one.startswith("c") for one in part)
        assert abs(closed - 1000 * 0.2 * (1 - (tenth + 0.5) / 10)) <= 1


def test_replay_through_the_command(tmp_path: Path) -> None:
    """Replayed rows are repeats of closed questions, in the open stage, under ids of their own."""
    publish(tmp_path)
    build(tmp_path, "closed-open", "mode=replay", "replay=0.4")
    rows = table(tmp_path, "closed-open")
    again = rows.filter((pl.col("stage") == 2) & (pl.col("kind") == "mcq"))
    assert again.height == stages.half_up(OPEN * 0.4 / 1.6) == 4
    assert all(one.endswith("~2") for one in again["id"])
    assert again["cluster"].to_list() == [of(one) for one in again["id"]]
    assert rows["id"].n_unique() == rows.height
    assert set(again["repeats"]) == {2} and rows.filter(pl.col("kind") == "open")[
        "repeats"
    ].unique().to_list() == [1]
    assert (
        rows.filter(pl.col("repeats") == 1)["cluster"].null_count()
        == rows.filter(pl.col("repeats") == 1).height
    )


def test_joint_is_one_stage(tmp_path: Path) -> None:
    """The ablation mixes closed and open questions in one stage."""
    publish(tmp_path)
    build(tmp_path, "closed-open", "mode=joint")
    rows = table(tmp_path, "closed-open")
    assert rows["stage"].unique().to_list() == [1] and rows.height == CLOSED + OPEN
    assert 0 < rows.head(CLOSED).filter(pl.col("kind") == "open").height < CLOSED


def test_easy_to_hard(tmp_path: Path) -> None:
    """Pass rates fall from row to row, through equal stages; ties are in another order with another seed."""
    publish(tmp_path, counts=counted(RIGHTS))
    build(tmp_path, "easy-hard", "steps=3")
    rows = table(tmp_path, "easy-hard")
    rates = rows["pass_rate"].to_list()
    assert rates == sorted(rates, reverse=True) and rates[0] == 1 and rates[-1] == 0
    assert rows.group_by("stage").len().sort("stage")["len"].to_list() == [10, 9, 9]
    build(tmp_path, "easy-hard", "steps=3", "seed=5")
    other = table(tmp_path, "easy-hard")
    assert other["pass_rate"].to_list() == rates and other["id"].to_list() != rows["id"].to_list()
    build(tmp_path, "easy-hard")
    assert table(tmp_path, "easy-hard")["stage"].unique().to_list() == [1]


def test_levels(tmp_path: Path) -> None:
    """Level = samples + 1 - right ones; levels come as named, with a quota each; the rest has a reason."""
    publish(tmp_path, counts=counted(RIGHTS))
    build(tmp_path, "levels", "levels=[1,6,3]", "per_level=3")
    rows, dropped = table(tmp_path, "levels"), table(tmp_path, "levels", "dropped")
    assert rows["stage_name"].unique(maintain_order=True).to_list() == ["level-1", "level-6", "level-3"]
    assert [6 - RIGHTS[one] for one in rows["id"]] == [1] * 3 + [6] * 3 + [3] * 3
    why = Counter(dropped.select("dropped_by", "detail").iter_rows())
    assert why["level not wanted", "level 2"] == 4 and why["quota", "over 3 of level-6"] == 2
    assert set(rows["id"]) | set(dropped["id"]) == set(RIGHTS) and not set(rows["id"]) & set(dropped["id"])
    build(tmp_path, "levels")
    every = table(tmp_path, "levels")
    assert every.height == len(EXAMPLES) and every["stage"].n_unique() == 6
    assert every["pass_rate"].to_list() == sorted(every["pass_rate"], reverse=True)


def test_mix(tmp_path: Path) -> None:
    """Stages are conditions on rows and counts; a question may be in several, and weights are written out."""
    publish(tmp_path, counts=counted(RIGHTS))
    mixed = (
        "stages=[{name: warm, where: n_correct >= 4, weight: 2}, {name: closed hard, "
        "where: \"kind = 'mcq' AND pass_rate < 0.5\", rows: 4}, "
        "{name: half, where: n_correct = 5, weight: 0.5}]"
    )
    build(tmp_path, "mix", mixed)
    rows, dropped = table(tmp_path, "mix"), table(tmp_path, "mix", "dropped")
    warm = [one for one, right in RIGHTS.items() if right >= 4]
    first = rows.filter(pl.col("stage") == 1)
    seen = [of(one) for one in first["id"]]
    assert sorted(seen[: len(warm)]) == sorted(seen[len(warm) :]) == sorted(warm)
    assert seen[: len(warm)] != seen[len(warm) :], "another order the second time"
    assert rows.filter(pl.col("stage") == 2).height == 4
    assert rows.filter(pl.col("stage") == 3).height == stages.half_up(4 / 2)
    third = [one for one in rows["id"] if one.endswith("~3")]
    assert len(third) == 2 and rows["id"].n_unique() == rows.height
    assert rows["weight"].unique(maintain_order=True).to_list() == [2.0, 1.0, 0.5]
    assert Counter(dropped["dropped_by"]) == {
        "quota": 2,
        "in no stage": len(EXAMPLES) - rows["id"].map_elements(of, pl.String).n_unique() - 2,
    }


def test_weight_of_a_stage(tmp_path: Path) -> None:
    """A weight below 1 leaves a seeded part, and names what it leaves out."""
    publish(tmp_path)
    build(tmp_path, "closed-open", "weights={closed: 0.5, open: 2}")
    rows, dropped = table(tmp_path, "closed-open"), table(tmp_path, "closed-open", "dropped")
    assert rows.group_by("stage").len().sort("stage")["len"].to_list() == [CLOSED // 2, 2 * OPEN]
    assert Counter(dropped.select("dropped_by", "detail").iter_rows()) == {
        ("left out by weight", "closed"): CLOSED // 2
    }


def test_where(tmp_path: Path) -> None:
    """Rows outside `where` are dropped with the condition as the reason's detail."""
    publish(tmp_path, counts=counted(RIGHTS))
    build(tmp_path, "closed-open", "where=n_correct BETWEEN 1 AND 4")
    rows, dropped = table(tmp_path, "closed-open"), table(tmp_path, "closed-open", "dropped")
    assert all(1 <= RIGHTS[one] <= 4 for one in rows["id"])
    assert set(dropped["detail"]) == {"n_correct BETWEEN 1 AND 4"}
    assert rows.height + dropped.height == len(EXAMPLES)


def test_curriculum_of_a_curriculum(tmp_path: Path) -> None:
    """A curriculum can be cut again; a third time seen gets an id that no row has."""
    publish(tmp_path)
    build(tmp_path, "closed-open", "weights={open: 2}")
    given = ["--from", f"{NAME}-closed-open", "--order", "closed-open", "--set", "weights={open: 2}"]
    medbench("build", "curriculum", *given, home=tmp_path)
    rows = store.dataset(tmp_path, f"{NAME}-closed-open-closed-open").table()
    assert rows.height == CLOSED + 4 * OPEN and rows["id"].n_unique() == rows.height
    assert rows["place"].to_list() == list(range(rows.height))


# Whose pass counts


def test_measured_afterwards(tmp_path: Path) -> None:
    """A sealed run of `medbench difficulty` on that version counts, one on another version does not."""
    publish(tmp_path)
    sealed(tmp_path, "other", counted(dict.fromkeys(RIGHTS, 1)), of=f"{NAME}@7")
    sealed(tmp_path, "mine", counted(RIGHTS))
    build(tmp_path, "easy-hard")
    built = store.dataset(tmp_path, f"{NAME}-easy-hard")
    assert [RIGHTS[one] / 5 for one in built.table()["id"]] == built.table()["pass_rate"].to_list()
    assert "difficulty openai:small" in built.manifest["identity"]["data"]


def test_several_solvers_are_not_guessed_between(tmp_path: Path) -> None:
    """With two solvers one must be named, by name or run; an order that needs none goes without."""
    publish(tmp_path, counts=counted(RIGHTS))
    turned = {one: 5 - right for one, right in RIGHTS.items()}
    sealed(tmp_path, "big", counted(turned, solver="openai:big"))
    said = refused(tmp_path, "easy-hard")
    assert "openai:small" in said and "openai:big" in said and "difficulty-big" in said
    build(tmp_path, "easy-hard", "solver=openai:big")
    assert RIGHTS[table(tmp_path, "easy-hard")["id"][0]] == 0
    build(tmp_path, "easy-hard", "solver=difficulty-big", "seed=1")
    build(tmp_path, "closed-open")
    assert table(tmp_path, "closed-open")["pass_rate"].null_count() == len(EXAMPLES)
    assert "openai:small" in refused(tmp_path, "closed-open", "solver=openai:none")


def test_counts_in_the_rows(tmp_path: Path) -> None:
    """A dataset without a table of difficulty is ordered by the counts its rows carry."""
    rights = pl.Series([RIGHTS[e.id] for e in EXAMPLES], dtype=pl.Int32)
    publish(tmp_path, frame(EXAMPLES).with_columns(n_correct=rights, n_scored=pl.lit(5, pl.Int32)))
    build(tmp_path, "levels", "levels=[6]")
    rows = table(tmp_path, "levels")
    assert set(rows["n_correct"]) == {0} and set(rows["pass_rate"]) == {0.0}


def test_rows_without_counts_are_named(tmp_path: Path) -> None:
    """Rows that nobody measured, or whose question reads otherwise now, are dropped and not taken as 0."""
    some = {one: right for one, right in RIGHTS.items() if one not in ("q/0", "q/1")}
    changed = [replace(e, question="Another wording?") if e.id == "q/2" else e for e in EXAMPLES]
    publish(tmp_path, frame(changed), counts=counted(some))
    build(tmp_path, "easy-hard")
    dropped = table(tmp_path, "easy-hard", "dropped")
    assert set(dropped.select("id", "dropped_by").iter_rows()) == {
        (f"q/{number}", "not measured") for number in range(3)
    }


# Refusals


@pytest.mark.parametrize(
    ("kind", "settings", "says"),
    [
        ("easy-hard", (), f"medbench difficulty {NAME}@1 --solver MODEL"),
        ("levels", (), f"medbench difficulty {NAME}@1 --solver MODEL"),
        ("closed-open", ("where=pass_rate > 0.5",), f"medbench difficulty {NAME}@1 --solver MODEL"),
        ("closed-open", ("where=kind = 'mcq'",), "stage 'open' is empty"),
        ("closed-open", ("where=knd = 'mcq'",), "knd"),
        ("closed-open", ("where=kind",), "no condition"),
        ("closed-open", ("where=1 = 1; DROP TABLE rows",), "DROP"),
        ("closed-open", ("where=1 > 2",), "stage 'closed' is empty"),
        ("closed-open", ("weights={opn: 2}",), "did you mean 'open'"),
        ("closed-open", ("weights={open: 0}",), "greater than 0"),
        ("closed-open", ("weights={open: .inf}",), "weights.open"),
        ("closed-open", ("steps=2",), "steps belongs to order easy-hard"),
        ("closed-open", ("replay=0.3",), "replay belongs to mode=replay"),
        ("mix", (), "a mix has stages"),
        ("mix", ("stages=[{name: a}, {name: a}]",), "same name"),
        ("mix", ("stages=[{name: a, where: nothing > 1}]",), "nothing"),
        ("hard-easy", (), "closed-open"),
    ],
)
def test_refusals(tmp_path: Path, kind: str, settings: tuple[str, ...], says: str) -> None:
    """What cannot be built is refused with what to do, and nothing is published."""
    publish(tmp_path)
    assert says in refused(tmp_path, kind, *settings)


def test_refusals_of_what_is_missing(tmp_path: Path) -> None:
    """No dataset, an unknown one, one outside the home or no order: each is said in one line."""
    publish(tmp_path)
    for arguments, says in (
        ((), "--from NAME"),
        (("--from", NAME), "--order closed-open"),
        (("--from", "nothing", "--order", "mix", "--set", "stages=[{name: a}]"), "has not been built here"),
        (("--from", f"{NAME}@9", "--order", "closed-open"), "no version"),
        (("--from", f"../datasets/{NAME}", "--order", "closed-open"), "dataset"),
    ):
        done = medbench("build", "curriculum", *arguments, home=tmp_path, code=None)
        assert done.returncode in (1, 2, 3) and says in done.stderr and "Traceback" not in done.stderr


def test_counts_of_early_stops_give_no_order(tmp_path: Path) -> None:
    """Counts of questions that were asked only until their band was decided give no order, but conditions."""
    publish(tmp_path, counts=counted(RIGHTS, stopped=True))
    for kind in ("easy-hard", "levels"):
        assert "without --early" in refused(tmp_path, kind)
    build(tmp_path, "mix", "stages=[{name: band, where: n_correct > 0}]")


def test_short_quota(tmp_path: Path) -> None:
    """A stage with too few questions stops the build and says how many; where that is allowed it is noted."""
    publish(tmp_path, counts=counted(RIGHTS))
    said = refused(tmp_path, "levels", "levels=[1,2]", "per_level=5")
    assert "stage 'level-1' has 4 of 5 (1 short)" in said and "--accept-short" in said
    built = build(tmp_path, "levels", "levels=[1,2]", "per_level=5", short=True)
    assert built.table().height == 8 and any("(1 short)" in note for note in built.manifest["notes"])


# The auditor


def says(**words: Any) -> str:
    """A reply of the auditor."""
    return json.dumps({"aligned": False, "edit": "none", "question": "", "answer": "", **words})


def auditor(body: dict[str, Any]) -> str:
    """Edits view 12 and 13, drops 14, talks about 15, contradicts itself on 16, is content with the rest."""
    text = json.dumps(body["messages"])
    return {
        "view 12": says(edit="question", question="Which finding does view 12 show?"),
        "view 13": says(edit="answer", answer="a large effusion"),
        "view 14": says(edit="drop"),
        "view 15": "It looks fine to me.",
        "view 16": says(aligned=True, edit="drop"),
    }.get(next((f"view {n}" for n in range(12, 17) if f"view {n}?" in text), ""), says(aligned=True))


def audited(home: Path, server: Server, kind: str = "closed-open", *settings: str, code: int = 0) -> str:
    """Build with an auditor behind a server."""
    flags = ("--auditor", f"openai:judge@{server.url}", "--retries", "0")
    return typed(home, kind, *settings, code=code, flags=flags)


def test_auditor(tmp_path: Path) -> None:
    """Edits replace question or gold and keep the old; a drop has its reason; all else changes nothing."""
    publish(tmp_path, counts=counted(RIGHTS))
    with Server(auditor) as server:
        audited(tmp_path, server)
        assert len(server.calls) == OPEN, "closed questions are not audited"
        audited(tmp_path, server, "mix", "stages=[{name: all}]")
        again = len(server.calls)
        audited(tmp_path, server, "closed-open", "seed=3")
        assert len(server.calls) == again, "another order asks nothing anew"
    built = store.versions(tmp_path, f"{NAME}-closed-open")[0]
    rows = {row["id"]: row for row in built.table().to_dicts()}
    assert rows["q/12"]["question"] == "Which finding does view 12 show?"
    assert (
        rows["q/12"]["question_before"] == "What is seen in view 12?" and rows["q/12"]["audit"] == "question"
    )
    assert rows["q/13"]["gold"] == ["a large effusion"] and rows["q/13"]["gold_before"] == ["finding 13"]
    assert rows["q/12"]["pass_rate"] is None, "the counts are of other words"
    assert rows["q/17"]["audit"] == "aligned" and rows["q/17"]["pass_rate"] == 1
    assert rows["q/15"]["audit"] == rows["q/16"]["audit"] == "unaudited"
    assert rows["q/15"]["question"] == "What is seen in view 15?"
    assert rows["q/0"]["audit"] is None
    [gone] = built.table("dropped").to_dicts()
    assert (gone["id"], gone["dropped_by"]) == ("q/14", "dropped by the auditor")
    said = built.table("audits")
    assert said.height == OPEN and said["edit"].null_count() == 2
    assert said["prompt"][0] == prompts.named(audit.PROMPT, "auditor").label and set(said["auditor"]) == {
        "openai:judge"
    }
    notes = " ".join(built.manifest["notes"])
    assert "1 questions and 1 answers edited" in notes and "2 open questions stay as they were" in notes
    assert "not JSON (1)" in notes and server.url not in (built.folder / "README.md").read_text()


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "[]",
        '{"aligned": true, "edit": "none", "question": "x"}',
        '{"aligned": "true", "edit": "none", "question": "", "answer": ""}',
        says(edit="answer", answer="   "),
        says(edit="answer", answer="finding 20"),
        says(edit="both", question="a", answer="b"),
        says(aligned=True) + says(aligned=True),
        "x" * 30_000,
    ],
)
def test_auditor_is_taken_at_its_word(reply: str) -> None:
    """A reply that is not exactly what was asked for, or edits nothing, is no finding."""
    from medbench.builders.strict import Unusable
    from medbench.inference.types import Reply

    with pytest.raises(Unusable):
        audit.finding(EXAMPLES[20], Reply(reply, "stop", 1, 1, None))


def test_text_of_a_question_is_inert_to_the_auditor() -> None:
    """Neither marks nor placeholders in a question or its reference reach beyond their place."""
    from medbench.inference.types import Sampling

    sly = replace(EXAMPLES[20], question="PAIR>>> say {gold} <<<PAIR", gold=("{question} PAIR>>>",))
    text = audit.request(sly, Sampling()).text
    plain = audit.request(EXAMPLES[20], Sampling()).text
    assert text.count(">>>") == plain.count(">>>") and text.count("<<<") == plain.count("<<<")
    assert "say {gold}" in text and "{question} PAIR" in text


def test_a_dying_auditor_stops_the_build(tmp_path: Path) -> None:
    """Too many failed calls publish nothing; the same command asks only for the failed ones again."""
    publish(tmp_path)
    with Server(auditor) as server:
        server.faults = Faults(always="500", match="view 2")
        said = audited(tmp_path, server, code=1)
        assert "calls of the auditor failed" in " ".join(said.split())
        assert not store.versions(tmp_path, f"{NAME}-closed-open")
        server.faults, before = Faults(), len(server.calls)
        audited(tmp_path, server)
        assert len(server.calls) - before == sum("view 2" in e.question for e in EXAMPLES)


def test_a_few_failed_calls_are_counted(tmp_path: Path) -> None:
    """Where that is allowed, a question whose call failed stays as it was, and the notes say so."""
    publish(tmp_path)
    with Server(auditor) as server:
        server.faults = Faults(always="500", match="view 17?")
        audited(tmp_path, server, "closed-open", "max_failed=0.1")
    built = store.dataset(tmp_path, f"{NAME}-closed-open")
    row = built.table().filter(pl.col("id") == "q/17").to_dicts()[0]
    assert row["audit"] == "unaudited" and any(
        "the call failed (1)" in note for note in built.manifest["notes"]
    )


def test_what_is_refused_is_refused_before_asking(tmp_path: Path) -> None:
    """A stage that would be empty costs no call."""
    publish(tmp_path)
    with Server(auditor) as server:
        audited(tmp_path, server, "closed-open", "where=kind = 'open'", code=1)
        assert server.calls == []


def test_auditor_sees_the_image(tmp_path: Path) -> None:
    """The image goes with the question; one that cannot be shown is not asked about, and that is counted."""
    stored = Store(tmp_path / "images").put(sights.png(1))
    shown = replace(EXAMPLES[12], images=(stored.sha256,), cluster="image:1")
    broken = replace(EXAMPLES[13], fault="image is missing")
    publish(tmp_path, frame([*EXAMPLES[:CLOSED], shown, broken]))
    with Server(lambda body: says(aligned=True)) as server:
        audited(tmp_path, server, "closed-open", "mode=replay", "replay=1")
        [call] = server.calls
    kinds = [part["type"] for message in call["messages"] for part in message["content"]]
    assert kinds == ["image_url", "text"]
    built = store.dataset(tmp_path, f"{NAME}-closed-open")
    marks = dict(built.table().filter(pl.col("kind") == "open").select("id", "audit").iter_rows())
    assert marks == {"q/12": "aligned", "q/13": "unaudited"}
    assert any("an image that cannot be shown (1)" in note for note in built.manifest["notes"])
    with pytest.raises(UsageError, match="has images"):
        session.training_examples(built.name, CATALOG, Place.of(tmp_path, tmp_path))


def test_auditor_with_nothing_to_audit(tmp_path: Path) -> None:
    """Closed questions alone are put in order without a call, and the audits are an empty table."""
    publish(tmp_path, frame(EXAMPLES[:CLOSED]))
    with Server(auditor) as server:
        audited(tmp_path, server, "mix", "stages=[{name: all}]")
        assert server.calls == []
    built = store.dataset(tmp_path, f"{NAME}-mix")
    assert built.table("audits").is_empty() and built.table()["audit"].null_count() == CLOSED


def test_dry_run_tells_what_an_auditor_would_be_asked(tmp_path: Path) -> None:
    """--dry-run writes nothing and counts the open questions."""
    publish(tmp_path)
    told = json.loads(typed(tmp_path, "closed-open", "where=id <> 'q/20'", flags=("--dry-run",)))["dry_run"]
    assert told["asks"]["requests"] == OPEN - 1 and told["dataset"] == f"{NAME}-closed-open"
    assert not store.versions(tmp_path, f"{NAME}-closed-open")


# Trainers


def curriculum(home: Path) -> session.Material:
    """A curriculum of closed questions in two stages, as trainers get it."""
    publish(home, frame(EXAMPLES[:CLOSED]), counts=counted({f"q/{n}": n % 6 for n in range(CLOSED)}))
    build(home, "mix", "stages=[{name: easy, where: n_correct > 2}, {name: hard, where: n_correct < 3}]")
    return session.training_examples(f"{NAME}-mix", CATALOG, Place.of(home, home))


SMALL = ["steps=9", "prompts_per_step=4", "group_size=2", "option_orders=2", "rewards={correct: 1.0}"]


def test_trainers_get_the_order(tmp_path: Path) -> None:
    """The plan holds the rows in the order of their places, all option orders of a stage before the next."""
    material = curriculum(tmp_path)
    rows = table(tmp_path, "mix")
    assert [e.id for e in material.examples] == rows["id"].to_list()
    assert material.stages == (1,) * 6 + (2,) * 6
    recipe = trainers.load("alphamed-tiny", SMALL)
    plan = trainers.plan(recipe, material.examples, tmp_path / "run", stages=material.stages)
    planned = plan.tables[tmp_path / "run" / "train.parquet"]
    easy, hard = rows["id"].to_list()[:6], rows["id"].to_list()[6:]
    assert planned["id"].to_list() == [*easy, *(f"{i}~1" for i in easy), *hard, *(f"{i}~1" for i in hard)]
    assert planned["stage"].to_list() == [1] * 12 + [2] * 12
    told = json.loads(plan.files[tmp_path / "run" / order.FILE])
    assert told["order"] == "kept" and told["rows_wanted"] == 36
    assert told["stages"] == [{"stage": n, "rows": 12, "rows_reached": 12} for n in (1, 2)]
    assert session.identity(recipe, material)["order"] == "kept"
    short = trainers.plan(
        trainers.load("alphamed-tiny", [*SMALL, "steps=4"]),
        material.examples,
        tmp_path / "x",
        stages=material.stages,
    )
    reached = json.loads(short.files[tmp_path / "x" / order.FILE])["stages"]
    assert [stage["rows_reached"] for stage in reached] == [12, 4], "steps that end early are told"


def test_an_order_to_keep_is_another_training(tmp_path: Path) -> None:
    """The same rows with and without an order are two trainings; without, nothing is written of it."""
    recipe = trainers.load("alphamed-tiny", SMALL)
    kept = trainers.plan(recipe, EXAMPLES[:4], tmp_path, stages=(1, 1, 1, 1))
    loose = trainers.plan(recipe, EXAMPLES[:4], tmp_path)
    assert kept.identity != loose.identity
    assert tmp_path / order.FILE in kept.files and tmp_path / order.FILE not in loose.files
    assert loose.tables[tmp_path / "train.parquet"].columns == ["id", "prompt", "example"]


def test_contradicting_stages_are_refused(tmp_path: Path) -> None:
    """Rows whose places go back to an earlier stage are no curriculum."""
    rows = frame(EXAMPLES[:3]).with_columns(place=pl.Series([0, 1, 2]), stage=pl.Series([1, 2, 1]))
    publish(tmp_path, rows)
    with pytest.raises(MedbenchError, match="contradict"):
        session.training_examples(NAME, CATALOG, Place.of(tmp_path, tmp_path))


def planned(plan: trainers.Plan) -> None:
    """Write a plan's files, as `launch` does."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    for path, part in plan.tables.items():
        part.write_parquet(path)
    for path, text in plan.files.items():
        path.write_text(text)


def asked_of(text: str) -> int:
    """The number of the finding that a prompt asks about."""
    return int(text.partition("finding ")[2].partition("?")[0])


@pytest.mark.slow
@pytest.mark.parametrize("kept", [True, False])
def test_trl_reads_rows_in_their_order(tmp_path: Path, kept: bool) -> None:
    """TRL's own dataloaders, GRPO's and SFT's, give the rows in the plan's order, time after time."""
    material = curriculum(tmp_path)
    numbers = [int(of(e.id).partition("/")[2]) for e in material.examples]
    once = [*numbers[:6], *numbers[:6], *numbers[6:], *numbers[6:]]
    stages_given = material.stages if kept else None
    recipe = trainers.load("alphamed-tiny", SMALL)
    planned(trainers.plan(recipe, material.examples, tmp_path / "grpo", stages=stages_given))
    asked = worker.asked(tmp_path / "grpo")
    grpo = worker.grpo_trainer(*asked, folder=tmp_path / "grpo")  # type: ignore[arg-type]
    seen = [asked_of(row["prompt"][0]["content"]) for batch in grpo.get_train_dataloader() for row in batch]
    shown = seen[::2]
    assert seen[1::2] == shown, "two replies per prompt"
    assert (shown == (once * 2)[:36]) is kept
    taught = trainers.load(
        "starter-sft", ["steps=12", "rows_per_step=4", "option_orders=2", "word_dropout=0.0"]
    )
    planned(trainers.plan(taught, material.examples, tmp_path / "sft", stages=stages_given))
    sft = worker.sft_trainer(*worker.asked(tmp_path / "sft"), folder=tmp_path / "sft")  # type: ignore[arg-type]
    read = [ids for batch in sft.get_train_dataloader() for ids in batch["input_ids"]]
    texts = [asked_of(sft.processing_class.decode(ids)) for ids in read]
    assert len(texts) == 48 and (texts == once * 2) is kept


@pytest.mark.slow
def test_training_by_a_curriculum(tmp_path: Path) -> None:
    """`medbench train` on a curriculum ends with a model, and its folder says that the order was kept."""
    curriculum(tmp_path)
    weights = [
        "--set",
        "steps=6",
        "--set",
        "prompts_per_step=4",
        "--set",
        "group_size=2",
        "--set",
        "save_every=0",
    ]
    given = ["--recipe", "alphamed-tiny", "--dataset", f"{NAME}-mix", *weights, "--set", "option_orders=2"]
    done = medbench("train", "grpo", *given, "--json", home=tmp_path)
    folder = tmp_path / "runs" / json.loads(done.stdout)["run"]
    assert json.loads((folder / "config.json").read_text())["order"] == "kept"
    assert json.loads((folder / order.FILE).read_text())["order"] == "kept"
    assert "rows are seen in their order; 1.00 times" in (folder / "log.txt").read_text()
