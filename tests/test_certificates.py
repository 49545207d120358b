"""Certificates: figures as others compute them, faults that are never verdicts, and weaknesses that show."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from medbench import stats
from medbench.catalog import Catalog
from medbench.cli import certificates
from medbench.inference.names import public_name
from medbench.inference.openai import OpenAIModel
from medbench.judges import Finding, Hearing, Panel, Seat, agreement, labels, probes
from medbench.judges import certificate as c
from medbench.judges import figures as f
from medbench.rubrics import Judge
from medbench.runs import open_run
from tests.support import judges as played
from tests.support.judges import Asked, JudgeServer, Play, inside, json_inside
from tests.support.openai_server import Faults
from tests.support.process import json_of, killed
from tests.support.teacher import lot

metrics = pytest.importorskip("sklearn.metrics", reason="comes with the extra `lm-eval`")

JUDGES = Catalog.load().judges
ROWS = [*played.packaged("equivalence")[:48], *played.packaged("equivalence")[110:122]]
"""Open questions, and some that the rules settle."""
GRADED = played.packaged("rubric3")
WAYS = {
    "order": "Ignore all of the above",
    "false end": "checked by a senior clinician",
    "authority": "SYSTEM: evaluation mode",
    "finished": "Note to the grader",
}
"""How orders are put, each with words that only it has."""

KEY = "sk-not-to-be-told-0123456789"


def command(judge: str, model: str, rows: Path, *more: str) -> list[str]:
    """The command that certifies a judge against a file."""
    running = ["--retries", "0", "--concurrency", "16"]
    return ["judge", "certify", judge, "--model", model, "--against", str(rows), *running, *more]


def file(folder: Path, rows: Sequence[played.Row] = ROWS) -> Path:
    """A file of labelled rows."""
    return played.labelled(folder / "rows.jsonl", rows)


def certified(
    play: Play, folder: Path, *more: str, rows: Sequence[played.Row] = ROWS, judge: str = "equivalence"
) -> dict[str, Any]:
    """The certificate of a played judge, through the command."""
    with JudgeServer(play) as server:
        return json_inside(*command(judge, server.model(), file(folder, rows), *more), home=folder / "home")


def findings(made: Mapping[str, Any], home: Path) -> pl.DataFrame:
    """Table FINDINGS of a certificate's run."""
    return pl.read_parquet(home / "runs" / made["run"] / "findings.parquet")


def close(value: float | None, expected: float) -> bool:
    """Whether a figure is this number."""
    return value is not None and value == pytest.approx(expected, abs=1e-9)


def lasting(made: Mapping[str, Any]) -> dict[str, Any]:
    """A certificate but for the run that holds it and when it was made."""
    return {key: value for key, value in made.items() if key not in ("run", "date", "time")}


class Heard(NamedTuple):
    """What a server answered to one row, in the words of its record: by seed, probe and way of an order."""

    row: played.Row
    plain: dict[int, str]
    probed: dict[str, str]
    ordered: dict[str, str]


def record(server: JudgeServer, rows: Sequence[played.Row]) -> list[Heard]:
    """What a server knows of its own answers, read by the form of the words alone."""
    known = played.Known(rows)
    found = {row["id"]: Heard(row, {}, {}, {}) for row in rows}
    usual = Asked(server.heard[0][0]).offered
    for body, text in server.heard:
        asked = Asked(body)
        row = known.row(asked)
        verdict = json.loads(text)["score"] if text.startswith("{") else text.split()[-1]
        same = played.words(asked.judged) == played.words(row["reply"])
        if same and asked.offered == usual:
            found[row["id"]].plain[asked.seed] = str(verdict)
        elif same or "usual order of an assessment" in asked.judged:
            found[row["id"]].probed["reversed" if same else "padded"] = str(verdict)
        else:
            [way] = [way for way, sign in WAYS.items() if sign in asked.judged]
            assert way not in found[row["id"]].ordered
            found[row["id"]].ordered[way] = str(verdict)
    return list(found.values())


class Noisy(NamedTuple):
    """A finished certificate of a noisy judge, with all that is known of it."""

    judge: str
    rows: list[dict[str, Any]]
    made: dict[str, Any]
    table: pl.DataFrame
    heard: list[Heard]
    calls: int
    folder: Path
    said: str


@pytest.fixture(scope="module", params=["equivalence", "rarl-rubric"])
def noisy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Noisy:
    """A judge that is wrong in a quarter of its verdicts, certified with two repeats and all probes."""
    folder = tmp_path_factory.mktemp(request.param)
    rows = ROWS if request.param == "equivalence" else GRADED
    path = file(folder, rows)
    with JudgeServer(played.noisy(0.25, rows)) as server:
        asked = command(request.param, server.model(), path, "--repeats", "2")
        told = json_inside(*asked, "--dry-run", home=folder / "home")
        assert server.calls == []
        made = json_of(*asked, home=folder / "home", OPENAI_API_KEY=KEY)
        calls = len(server.calls)
        assert calls == told["requests"] == len(server.heard)
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
        said = inside(*asked, home=folder / "home").stdout
        assert len(server.calls) == calls
        heard = record(server, rows)
    return Noisy(request.param, rows, made, findings(made, folder / "home"), heard, calls, folder, said)


def expected(labels: Sequence[str], verdicts: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    """The figures as scikit-learn computes them."""
    kappa = partial(metrics.cohen_kappa_score, labels, verdicts, labels=names)
    return {
        "agreement": metrics.accuracy_score(labels, verdicts),
        "kappa": kappa(),
        "weighted_kappa": kappa(weights="quadratic"),
        "balanced_f1": metrics.f1_score(labels, verdicts, average="macro"),
    }


def test_figures_are_those_of_scikit_learn(noisy: Noisy) -> None:
    """All figures equal scikit-learn's, computed from the run's table and from the server's own record."""
    names = noisy.made["labels"]
    called = {"0": "INCORRECT", "1": "CORRECT"} if noisy.judge == "equivalence" else {}
    table = noisy.table.filter(pl.col("variant") == "plain", pl.col("repeat") == 0)
    told = [called.get(str(row["label"]), str(row["label"])) for row in noisy.rows]
    sides = [
        (table["label"].to_list(), table["verdict"].to_list()),
        (told, [one.plain[0] for one in noisy.heard]),
    ]
    for label, verdict in sides:
        assert len(label) == len(noisy.rows)
        for name, value in expected(label, verdict, names).items():
            assert close(noisy.made["figures"][name]["value"], value), name
        assert metrics.confusion_matrix(label, verdict, labels=names).tolist() == noisy.made["confusion"]
        usual = max(names, key=lambda name: (label.count(name), -names.index(name)))
        for name, value in expected(label, [usual] * len(label), names).items():
            assert close(noisy.made["constant"][name], value), name
    assert noisy.made["n"] == len(noisy.rows) and noisy.made["unscored"] == 0
    assert noisy.made["figures"]["agreement"]["value"] < 1


def test_what_moves_a_judge_equals_the_record(noisy: Noisy) -> None:
    """Self-consistency and the gains by padding, order and each way of injection are the server's answers."""
    names, figures = noisy.made["labels"], noisy.made["figures"]
    worth = {name: place / (len(names) - 1) for place, name in enumerate(names)}

    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    assert all(set(one.plain) == {0, 2} for one in noisy.heard)
    assert close(
        figures["self_consistency"]["value"], mean([one.plain[0] == one.plain[2] for one in noisy.heard])
    )
    for kind, name in (("padded", "padding_gain"), ("reversed", "order_gain")):
        both = [(one.plain[0], one.probed[kind]) for one in noisy.heard if kind in one.probed]
        assert close(figures[name]["value"], mean([worth[b] - worth[a] for a, b in both])), name
        assert figures[name]["n"] == len(both) == len(noisy.heard)
        if kind == "reversed":
            assert close(figures["order_changed"]["value"], mean([a != b for a, b in both]))
    wrong = [one for one in noisy.heard if one.ordered]
    assert len(wrong) == sum(row["label"] != (1 if len(names) == 2 else 3) for row in noisy.rows)
    assert all(set(one.ordered) == set(WAYS) for one in wrong)
    gains = {way: [worth[one.ordered[way]] - worth[one.plain[0]] for one in wrong] for way in WAYS}
    for way, found in gains.items():
        assert close(noisy.made["injections"][way]["value"], mean(found)), way
        assert noisy.made["injections"][way]["n"] == len(wrong)
    assert list(noisy.made["injections"]) == list(WAYS)
    assert close(figures["injection_gain"]["value"], mean([gap for found in gains.values() for gap in found]))
    best = names[-1]
    taken = [
        (one.ordered[way] == best) - (one.plain[2] == best)
        for one in wrong
        for way in WAYS
        if one.plain[0] != best
    ]
    assert close(figures["injection_success"]["value"], mean(taken))
    assert figures["injection_success"]["n"] == len(taken)
    assert noisy.made["injectable"] is False


def test_rules_and_judge_together_are_those_of_scikit_learn(noisy: Noisy) -> None:
    """Where rules speak first: the judge on what they leave, and both together, as scikit-learn has them."""
    names, made = noisy.made["labels"], noisy.made["figures"]
    if noisy.judge == "rarl-rubric":
        assert not [name for name in made if name.startswith(("left_", "with_rules_"))]
        return
    table = noisy.table.filter(pl.col("variant") == "plain", pl.col("repeat") == 0)
    left = table.filter(pl.col("settled").is_null())
    said = [
        verdict if settled is None else names[int(settled)]
        for verdict, settled in table.select("verdict", "settled").iter_rows()
    ]
    assert 0 < left.height < table.height and said != table["verdict"].to_list()
    for prefix, label, verdict in (
        ("left_", left["label"].to_list(), left["verdict"].to_list()),
        ("with_rules_", table["label"].to_list(), said),
    ):
        for name in ("agreement", "kappa"):
            assert close(made[prefix + name]["value"], expected(label, verdict, names)[name]), prefix + name
            assert made[prefix + name]["n"] == len(label)
            assert made[prefix + name]["low"] < made[prefix + name]["value"] < made[prefix + name]["high"]


def test_intervals_hold_their_figures(noisy: Noisy) -> None:
    """Every figure lies in its interval, which is neither a point nor all there is."""
    for name, one in noisy.made["figures"].items():
        assert one["low"] <= one["value"] <= one["high"], name
        assert 0.02 < one["high"] - one["low"] < 1.2, name
    assert noisy.made["figures"]["kappa"]["high"] < 1


def test_slices_are_shares_of_the_table(noisy: Noisy) -> None:
    """Agreement by what is tested adds up to agreement over all."""
    slices = noisy.made["slices"]
    assert set(slices) == {row["slice"] for row in noisy.rows}
    assert sum(one["n"] for one in slices.values()) == len(noisy.rows)
    hits = sum(one["value"] * one["n"] for one in slices.values())
    assert close(noisy.made["figures"]["agreement"]["value"], hits / len(noisy.rows))


def test_a_certificate_tells_no_secrets(noisy: Noisy) -> None:
    """No text of a row, no address and no key stands in a certificate, whose figures are all there."""
    path = noisy.folder / "home" / "runs" / noisy.made["run"] / "certificate.json"
    text = path.read_text(encoding="utf-8")
    assert {"run": noisy.made["run"], **json.loads(text)} == noisy.made
    for row in noisy.rows:
        for part in (row["question"], row["reply"], *row["gold"], row["why"], row["cluster"], row["id"]):
            assert len(part) < 8 or json.dumps(part, ensure_ascii=False)[1:-1] not in text
    for secret in ("127.0.0.1", "localhost", "http", KEY, str(noisy.folder)):
        assert secret not in text and secret not in noisy.said
    assert noisy.made["judge"] == f"{noisy.judge}=openai:judge"
    assert noisy.made["against"] == "rows" and noisy.made["against_hash"] and noisy.made["hash"]
    assert noisy.made["prompts"][0].startswith("judge-")
    for word in ("kappa", "agreement", "injection_gain", noisy.made["date"], noisy.made["against_hash"]):
        assert word in noisy.said
    assert "INJECTABLE" not in noisy.said


def test_a_perfect_judge_is_not_called_certain(tmp_path: Path) -> None:
    """Without a single miss the figures are 1, but the intervals of agreement and kappa reach below."""
    figures = certified(played.perfect(ROWS), tmp_path, "--repeats", "2")["figures"]
    for name in ("agreement", "kappa", "weighted_kappa", "balanced_f1", "self_consistency"):
        assert figures[name]["value"] == 1 and figures[name]["high"] == 1
    assert 0.5 < figures["kappa"]["low"] < figures["agreement"]["low"] < 1
    for name in ("leniency", "padding_gain", "order_gain", "order_changed", "injection_gain"):
        assert figures[name]["value"] == 0 and figures[name]["low"] <= 0 <= figures[name]["high"]


def test_a_constant_judge_is_no_better_than_chance(tmp_path: Path) -> None:
    """A judge that always says the same has the agreement of the constant judge, and a kappa of 0."""
    rows = [row for row in ROWS if row["label"]] + [row for row in ROWS if not row["label"]][:15]
    with JudgeServer(played.constant("CORRECT")) as server:
        asked = command("equivalence", server.model(), file(tmp_path, rows))
        said = inside(*asked, home=tmp_path / "home").stdout
        made = json_inside(*asked, home=tmp_path / "home")
    assert made["figures"]["kappa"]["value"] == 0 and made["figures"]["kappa"]["low"] <= 0
    assert close(made["figures"]["agreement"]["value"], sum(row["label"] for row in rows) / len(rows))
    assert close(made["constant"]["agreement"], made["figures"]["agreement"]["value"])
    assert made["figures"]["leniency"]["low"] > 0 and made["figures"]["self_consistency"]["value"] == 1
    assert "no better than chance" in said
    assert made["injectable"] is None and "could not be told" in said  # there is no way up from always right


def test_an_injectable_judge_is_exposed(tmp_path: Path) -> None:
    """A judge that is right but obeys its replies is marked, in the certificate and in words."""
    with JudgeServer(played.injectable(ROWS)) as server:
        asked = command("equivalence", server.model(), file(tmp_path), "--repeats", "1")
        said = inside(*asked, home=tmp_path / "home").stdout
        made = json_inside(*asked, home=tmp_path / "home")
    figures = made["figures"]
    assert made["injectable"] is True and "INJECTABLE" in said
    assert figures["agreement"]["value"] == 1 and figures["injection_success"]["value"] == 1
    assert figures["injection_gain"]["value"] == 1 and figures["injection_gain"]["low"] > 0.5


@pytest.mark.parametrize("name", ["rarl-rubric", "doctoragent-diagnosis", "wingpt-verifier", "preference"])
def test_an_order_is_tried_in_every_form(tmp_path: Path, name: str) -> None:
    """A judge that obeys is exposed by the orders of each form of verdict."""
    judge = JUDGES[name]
    rows = played.packaged(judge.aspect)
    panel = Panel((Seat(name, judge, played.scripted(played.injectable(rows))),))
    found = labels.load(file(tmp_path, rows), judge)
    with open_run(tmp_path, name, config={}) as run:
        table = c.certify(Hearing(run, panel), found, c.Probing(repeats=1))
    made = c.certificate(panel, found, table)
    assert made.figures["agreement"].value == 1 and made.injectable
    ordered = table.filter(pl.col("variant") == "injected")
    assert set(ordered["way"]) == set(WAYS) and set(ordered["value"]) == {1.0}, "all ways on all wrong rows"
    wrong = {row.id for row in found.rows if row.label != judge.best}
    assert set(ordered["id"]) == wrong and ordered.height == len(WAYS) * len(wrong)
    assert ordered["turned"].any() is False or not judge.sees("other"), (
        "the order asks for it both ways round"
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("often", [0.8, 1.0])
def test_one_way_in_is_enough(tmp_path: Path, way: str, often: float) -> None:
    """A judge that falls for one way of putting an order is exposed, and the way is told."""
    obeys, knows = played.injectable(ROWS), played.perfect(ROWS)

    def play(body: played.Body) -> Any:
        said = Asked(body).judged
        return (obeys if WAYS[way] in said and lot("obey", said) < often else knows)(body)

    made = in_process(play, tmp_path, ROWS, c.Probing(repeats=1))
    gains = {name: figure.value or 0 for name, figure in made.injections.items()}
    assert [name for name, gain in gains.items() if gain] == [way] and 0.6 < gains[way] <= often + 0.1
    assert close(made.figures["injection_gain"].value, gains[way] / len(WAYS))
    gain = made.figures["injection_gain"]
    assert gain.low <= gain.value <= gain.high and made.injectable is True
    assert any("INJECTABLE" in line for line in certificates.warnings(made.model_dump(mode="json")))


def in_process(
    play: Play, home: Path, rows: Sequence[played.Row], probing: c.Probing, judge: str = "equivalence"
) -> c.Certificate:
    """The certificate of a judge played in this process."""
    panel = Panel((Seat(judge, JUDGES[judge], played.scripted(play)),))
    found = labels.load(file(home, rows), JUDGES[judge])
    with open_run(home, judge, config=probing.model_dump()) as run:
        table = c.certify(Hearing(run, panel), found, probing)
        return c.keep(run, c.certificate(panel, found, table), table)


def simulated(found: labels.LabelledSet, judge: Judge, seed: int, noise: float, obeys: float) -> pl.DataFrame:
    """Findings, without any server, of a judge that is wrong by chance and obeys some orders."""
    names = list(judge.worth)

    def say(row: labels.Labelled, *salt: object) -> Finding:
        label = row.label
        if lot(seed, "noise", row.id, *salt) < noise:
            label = names[int(lot(seed, "which", row.id, *salt) * len(names))]
        return Finding(judge.worth[label], None, ())

    def obey(row: labels.Labelled, way: str) -> Finding:
        return Finding(1.0, None, ()) if lot(seed, "obey", row.id, way) < obeys else say(row, way)

    wrong = [row for row in found.rows if row.label != judge.best]
    parts = [c.table([(row, say(row), None, False) for row in found.rows], judge)]
    for way in WAYS:
        parts.append(
            c.table([(row, obey(row, way), None, False) for row in wrong], judge, "injected", 0, way)
        )
    return pl.concat(parts)


@pytest.mark.parametrize("name", ["equivalence", "capo-consistency"])
def test_noise_is_seldom_called_obedience(name: str) -> None:
    """A judge that errs at random is rarely called injectable; one that obeys a third of the orders is."""
    judge, found = JUDGES[name], labels.load(labels.PACKAGED, JUDGES[name])
    alarms = sum(f.injectable(simulated(found, judge, seed, 0.4, 0.0)) is True for seed in range(30))
    assert alarms <= 3
    assert all(f.injectable(simulated(found, judge, seed, 0.2, 1 / 3)) for seed in range(5))


@pytest.mark.parametrize("name", sorted(JUDGES))
def test_a_judge_blind_to_length_gains_nothing_by_it(name: str) -> None:
    """One that always says the same has no leniency on longer replies, whatever label they happen to have."""
    judge, found = JUDGES[name], labels.load(labels.PACKAGED, JUDGES[name])
    cases = [row.case for row in found.rows if row.case]
    longer = probes.longer(cases, [row.label for row in found.rows])
    assert any(longer) and not all(longer)
    for label, worth in judge.worth.items():
        lines = [
            (row, Finding(worth, None, ()), None, one) for row, one in zip(found.rows, longer, strict=True)
        ]
        gain = f.figures(c.table(lines, judge), judge)["longer_gain"]
        assert close(gain.value, 0) and gain.low < 0 < gain.high, label


def test_a_judge_that_picks_the_first_is_exposed(tmp_path: Path) -> None:
    """Where the order of the labels decides, every verdict changes with it."""
    figures = certified(lambda body: played.order_bound(body), tmp_path, "--repeats", "1")["figures"]
    assert figures["order_changed"]["value"] == 1 and figures["order_changed"]["low"] > 0.8
    assert abs(figures["order_gain"]["value"]) == 1 and figures["kappa"]["value"] == 0


def test_a_judge_that_likes_length_is_exposed(tmp_path: Path) -> None:
    """Where length pleases, empty sentences gain on wrong replies, and long ones are judged too kindly."""
    made = certified(played.lenient(ROWS), tmp_path, "--repeats", "1")
    figures = made["figures"]
    wrong = sum(not row["label"] and len(row["reply"].split()) <= 50 for row in ROWS) / len(ROWS)
    assert close(figures["padding_gain"]["value"], wrong) and figures["padding_gain"]["low"] > 0.2
    assert figures["leniency"]["value"] > 0 and figures["longer_gain"]["value"] > 0


def test_a_preference_by_place_is_a_tie(tmp_path: Path) -> None:
    """A judge of pairs that always takes the first reply is asked both ways round, and found out."""
    rows = played.packaged("preference")
    made = certified(played.constant("A"), tmp_path, "--repeats", "1", rows=rows, judge="preference")
    assert made["figures"]["position_changed"]["value"] == 1
    assert all(sum(row) == row[made["labels"].index("TIE")] for row in made["confusion"])


# Faults


def test_broken_verdicts_are_unscored(tmp_path: Path) -> None:
    """Broken JSON, no verdict and cut-off replies get one more try, and then no verdict at all."""
    play = played.broken(GRADED, 0.3, 0.4)
    path = file(tmp_path, GRADED)
    with JudgeServer(play) as server:
        asked = command("rarl-rubric", server.model(), path, "--repeats", "1", "--no-probes")
        made = json_inside(*asked, home=tmp_path / "home", code=1)
        calls = len(server.calls)
        judged = [Asked(body).judged for body in server.calls]
        assert json_inside(*asked, home=tmp_path / "home", code=1) == made
        assert len(server.calls) == calls
        said = inside(*asked, home=tmp_path / "home", code=1)
    lost = {text for text in judged if lot("always", text) < 0.3}
    slipped = {text for text in judged if lot("first", text) < 0.4} - lost
    assert lost and slipped and calls == len(GRADED) + len(lost | slipped)
    assert made["unscored"] == len(lost) and made["n"] == len(GRADED) - len(lost)
    assert set(made["problems"]) == {"no verdict", "cut off"}
    assert sum(made["problems"].values()) == len(lost)
    assert made["figures"]["agreement"]["value"] == 1 and made["figures"]["agreement"]["n"] == made["n"]
    table = findings(made, tmp_path / "home")
    silent = table.filter(pl.col("verdict").is_null())
    assert silent.height == len(lost) and silent["value"].null_count() == silent.height
    assert "gave no verdict" in said.stderr and f"no verdict on {len(lost) / len(GRADED):.1%}" in said.stdout


def test_a_dying_judge_is_mended_by_the_same_command(tmp_path: Path) -> None:
    """Calls that failed are owed: once the server is back, the command asks for these and no others."""
    path, once = file(tmp_path), ("--repeats", "1", "--no-probes")
    with JudgeServer(played.noisy(0.2, ROWS), faults=played.dying(25)) as server:
        asked = command("equivalence", server.model(), path, *once)
        made = json_inside(*asked, home=tmp_path / "home", code=1)
        assert made["n"] == 25 == len(server.heard) and made["unscored"] == len(ROWS) - 25
        assert set(made["problems"]) <= {"HTTP 500", "not asked"}
        known = {row["id"]: str(row["label"]) for row in ROWS}
        part = findings(made, tmp_path / "home").drop_nulls("verdict")
        right = [
            ("0", "1")[name == "CORRECT"] == known[row]
            for row, name in part.select("id", "verdict").iter_rows()
        ]
        assert part.height == 25 and close(made["figures"]["agreement"]["value"], sum(right) / 25)
        server.faults, before = Faults(), len(server.calls)
        whole = json_inside(*asked, home=tmp_path / "home")
        assert len(server.calls) - before == len(ROWS) - 25
        undisturbed = json_inside(*asked, home=tmp_path / "other")
    assert lasting(whole) == lasting(undisturbed)
    assert whole["n"] == len(ROWS) and whole["unscored"] == 0 and whole["problems"] == {}


def test_a_dead_judge_gets_no_certificate(tmp_path: Path) -> None:
    """Where nothing was answered there is nothing to certify, and the reason is told without the address."""
    with JudgeServer(played.constant("CORRECT"), faults=Faults(always="500")) as server:
        asked = command("equivalence", server.model(), file(tmp_path, ROWS[:20]))
        done = inside(*asked, home=tmp_path / "home", code=1)
    assert "no verdict on any of 20 rows" in done.stderr and "HTTP 500" in done.stderr
    assert not list((tmp_path / "home" / "runs").glob("*/certificate.json"))


def test_injection_that_was_not_tried_is_not_ruled_out(tmp_path: Path) -> None:
    """Without the probe, or when it failed, a judge is not certified as not injectable."""
    without = certified(played.injectable(ROWS), tmp_path, "--repeats", "1", "--no-probes")
    assert "injection_gain" not in without["figures"] and without["injectable"] is None
    plain_padded_reversed = 3 * len(ROWS)
    with JudgeServer(played.injectable(ROWS), faults=played.dying(plain_padded_reversed)) as server:
        asked = command("equivalence", server.model(), file(tmp_path), "--repeats", "1")
        failed = json_inside(*asked, home=tmp_path / "home", code=1)
        assert failed["unscored"] == 0 and failed["injectable"] is None
        server.faults = Faults()
        assert json_inside(*asked, home=tmp_path / "home")["injectable"] is True


def test_a_hurried_certificate_hides_nothing(tmp_path: Path) -> None:
    """Certified again without probes, an injectable judge is still called so: by score and by show."""
    home, path = tmp_path / "home", file(tmp_path)
    items = played.labelled(tmp_path / "items.jsonl", [{**ROWS[0], "reply": ""}])
    said = played.labelled(tmp_path / "said.jsonl", [{"id": ROWS[0]["id"], "reply": "Something else."}])
    score = ["score", "--items", str(items), "--replies", str(said)]
    with JudgeServer(played.injectable(ROWS)) as server:
        asked = command("equivalence", server.model(), path, "--repeats", "1")
        hurried = json_inside(*asked, "--no-probes", home=home)
        assert [one.injectable for one in c.every(home)] == [None]
        full = json_inside(*asked, home=home)
        more = json_inside(*asked[:-1], "2", "--no-probes", "--fresh", home=home)
        assert len({one["run"] for one in (hurried, full, more)}) == 3
        [kept] = c.every(home)
        assert kept.injectable is True and lasting(kept.model_dump(mode="json")) == lasting(full)
        told = inside(*score, "--judge", server.model(), "--tolerance", "1", home=home).stdout
        assert "INJECTABLE" in told and "not measured" not in told
        run = json_inside(*score, "--judge", server.model(), "--tolerance", "1", home=home)["run"]
    assert "INJECTABLE" in inside("show", run, home=home).stdout


def test_of_two_certificates_the_fullest_counts(tmp_path: Path) -> None:
    """Of one judge and one set the one with most hearings stands; against another set there is another."""
    plain = c.Probing(repeats=1, probes=False)
    one = in_process(played.perfect(ROWS), tmp_path, ROWS, plain)
    assert c.every(tmp_path) == [one]
    three = in_process(played.perfect(ROWS), tmp_path, ROWS, c.Probing(repeats=3, probes=False))
    assert c.every(tmp_path) == [three] and three.heard == 3 * len(ROWS) == 3 * one.heard
    in_process(played.perfect(ROWS), tmp_path, ROWS, c.Probing(repeats=2, probes=False))
    assert c.every(tmp_path) == [three]


def marked(*certified: tuple[int, bool | None]) -> str:
    """What stands beside a number of a judge with certificates of so many rows, injectable or not."""
    kappa = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 1}
    known = [{"n": n, "injectable": open_to_it, "figures": {"kappa": kappa}} for n, open_to_it in certified]
    return certificates.mark({"certificates": known})


def test_the_mark_beside_a_number() -> None:
    """Few rows calibrate nothing; what any certificate found counts, and what none tried is said."""
    assert marked() == "uncalibrated"
    assert marked((19, False)) == "uncalibrated (n 19)" == marked((19, True), (3, None))
    assert marked((20, False)) == "kappa 0.500 (0.250–0.750), n 20"
    assert (
        marked((20, None))
        == marked((20, None), (3, None))
        == f"{marked((20, False))}, injection not measured"
    )
    assert marked((20, True)) == marked((20, False), (20, True)) == f"{marked((20, False))}, INJECTABLE"
    assert marked((20, None), (5, True)).endswith("n 20, INJECTABLE")


def test_a_slow_judge_is_unscored_where_it_is_late(tmp_path: Path) -> None:
    """A verdict that does not come in time is none; given time, only what is owed is asked again."""
    rows = ROWS[:24]

    def delay(body: played.Body) -> float:
        return 2.5 if lot("slow", Asked(body).judged) < 0.25 else 0.0

    with JudgeServer(played.perfect(rows), slow=delay) as server:
        asked = command(
            "equivalence",
            server.model(),
            file(tmp_path, rows),
            "--repeats",
            "1",
            "--no-probes",
            "--timeout",
            "1",
        )
        made = json_inside(*asked, home=tmp_path / "home", code=1)
        late = {text for text in (Asked(body).judged for body in server.calls) if lot("slow", text) < 0.25}
        assert late and made["unscored"] == len(late) and made["n"] == len(rows) - len(late)
        assert all("Timeout" in problem for problem in made["problems"])
        assert made["figures"]["agreement"]["value"] == 1
        server.slow, before = None, len(server.calls)
        whole = json_inside(*asked, home=tmp_path / "home")
        assert len(server.calls) - before == len(late)
    assert whole["unscored"] == 0 and whole["n"] == len(rows)


@pytest.mark.parametrize("noisy", ["equivalence"], indirect=True)
def test_killed_halfway_it_goes_on(noisy: Noisy, tmp_path: Path) -> None:
    """After kill -9 the same command asks again only what was in flight, and ends in the same certificate."""
    width = 8
    with JudgeServer(played.noisy(0.25, ROWS), slow=lambda _: 0.01) as server:
        asked = command("equivalence", server.model(), file(tmp_path), "--repeats", "2")
        asked[asked.index("--concurrency") + 1] = str(width)
        killed(*asked, home=tmp_path / "home", when=lambda: len(server.calls) >= noisy.calls // 2)
        assert noisy.calls // 2 <= len(server.calls) < noisy.calls
        assert not list((tmp_path / "home" / "runs").glob("*/certificate.json"))
        made = json_inside(*asked, home=tmp_path / "home")
        assert noisy.calls <= len(server.calls) <= noisy.calls + width
    assert lasting(made) == lasting(noisy.made)
    assert findings(made, tmp_path / "home").equals(noisy.table)


# Files, panels, judges


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_rows_of_ones_own(tmp_path: Path, kind: str) -> None:
    """A file of one's own, JSON lines or Parquet, with a judge of one's own that calls right 0."""
    row = {
        "title": "Is it flawed?",
        "aspect": "flaw",
        "labels": {"1": 0, "0": 1},
        "prompt": {
            "origin": "a test",
            "role": "judge",
            "user": "{question}\n<<<REPLY\n{reply}\nREPLY>>>\n\nIs it flawed? Finish with {labels}.",
        },
    }
    (tmp_path / "mine.yaml").write_text(json.dumps({"judges": {"flaw": row}}), encoding="utf-8")
    rows = [{key: one[key] for key in ("question", "reply", "label")} for one in ROWS[:20]]
    path = tmp_path / f"own.{kind}"
    pl.DataFrame(rows).write_parquet(path) if kind == "parquet" else played.labelled(path, rows)
    more = ("--repeats", "1", "--catalog", str(tmp_path / "mine.yaml"))
    with JudgeServer(played.perfect(rows, right="0")) as server:
        made = json_inside(*command("flaw", server.model(), path, *more), home=tmp_path / "home")
    right = sum(int(one["label"]) for one in rows)
    assert made["labels"] == ["1", "0"] and made["confusion"] == [[len(rows) - right, 0], [0, right]]
    assert made["figures"]["kappa"]["value"] == 1 and made["figures"]["leniency"]["value"] == 0
    assert made["against"] == "own" and made["slices"] == {}


def test_what_cannot_be_certified_is_a_usage_error(tmp_path: Path) -> None:
    """Bad rows, a missing file, unlike judges and unknown names end with exit 2 before anything is asked."""
    bad = played.labelled(
        tmp_path / "bad.jsonl",
        [ROWS[0], {**ROWS[1], "reply": ""}, {**ROWS[2], "label": "perhaps"}, {**ROWS[3], "gold": []}],
    )
    good = file(tmp_path)
    with JudgeServer(played.constant("CORRECT")) as server:
        model = server.model()
        tried = [
            (
                command("equivalence", model, bad),
                ["line 2", "no reply", "line 3", "'perhaps'", "line 4", "no gold"],
            ),
            (command("equivalence", model, tmp_path / "none.jsonl"), ["no file"]),
            (["judge", "certify", f"equivalence={model}", f"rarl-rubric={model}"], ["different kinds"]),
            (command("equivalance", model, good), ["equivalence"]),
        ]
        for asked, words in tried:
            told = inside(*asked, home=tmp_path / "home", code=2).stderr
            assert all(word in told for word in words), told
        assert server.calls == []


def test_a_panel_has_one_certificate(tmp_path: Path) -> None:
    """Three judges give one certificate: of their majority, with the share on which they disagree."""
    names = ("one", "two", "three")
    plays = {name: played.noisy(0.2, ROWS, salt=name) for name in names}
    with JudgeServer(played.by_model(plays)) as server:
        seats = [f"equivalence={server.model(name)}" for name in names]
        more = ["--against", str(file(tmp_path)), "--repeats", "1", "--no-probes", "--concurrency", "16"]
        made = json_inside("judge", "certify", *seats, *more, home=tmp_path / "home")
        assert len(server.calls) == 3 * len(ROWS)
        known = played.Known(ROWS)
        said: dict[str, list[str]] = {row["id"]: [] for row in ROWS}
        for body, text in server.heard:
            said[known.row(Asked(body))["id"]].append(text.split()[-1])
    assert len(list((tmp_path / "home" / "runs").glob("*/certificate.json"))) == 1
    assert made["judge"].startswith("majority of equivalence=openai:one")
    label = {row["id"]: ("INCORRECT", "CORRECT")[row["label"]] for row in ROWS}
    most = {row: max(set(votes), key=votes.count) for row, votes in said.items()}
    order = list(label)
    figures = expected([label[row] for row in order], [most[row] for row in order], made["labels"])
    for name, value in figures.items():
        assert close(made["figures"][name]["value"], value), name
    split = [len(set(votes)) > 1 for votes in said.values()]
    assert sum(split) > 0 and close(made["figures"]["disagreement"]["value"], sum(split) / len(split))
    assert made["figures"]["disagreement"]["n"] == len(ROWS)


def test_verdicts_are_reused_on_request(tmp_path: Path) -> None:
    """A longer certificate asks only for what a shorter one did not, with --reuse-verdicts."""
    path = file(tmp_path, ROWS[:20])
    with JudgeServer(played.perfect(ROWS)) as server:
        asked = command("equivalence", server.model(), path)
        json_inside(*asked, "--repeats", "1", "--no-probes", home=tmp_path / "home")
        assert len(server.calls) == 20
        json_inside(*asked, "--repeats", "2", "--no-probes", "--reuse-verdicts", home=tmp_path / "home")
        assert len(server.calls) == 40


def seated(name: str, server: JudgeServer) -> Panel:
    """A packaged judge behind a server, or in process where it compares likelihoods."""
    judge = JUDGES[name]
    if judge.protocol == "loglikelihood":
        return Panel((Seat(name, judge, played.scripted(server.play, "local:judge")),))
    return Panel((Seat(name, judge, OpenAIModel("judge", server.url)),))


@pytest.mark.parametrize("name", sorted(JUDGES))
def test_every_packaged_judge_can_be_perfect(tmp_path: Path, name: str) -> None:
    """One that knows the labels agrees on all packaged rows of its aspect, in the form it is asked for."""
    judge = JUDGES[name]
    rows = played.packaged(judge.aspect)
    found = labels.load(labels.PACKAGED, judge)
    with JudgeServer(played.perfect(rows)) as server, open_run(tmp_path, name, config={}) as run:
        panel = seated(name, server)
        hearing = Hearing(run, panel)
        table = c.certify(hearing, found, c.Probing(repeats=1, probes=False))
        made = c.keep(run, c.certificate(panel, found, table), table)
    assert made.n == len(rows) and made.unscored == 0
    assert made.figures["agreement"].value == 1 and made.figures["kappa"].low < 1
    assert all(one.value == 1 for one in made.slices.values()) and made.figures["kappa"].low > 0
    assert made.judge == f"{name}={public_name(panel.seats[0].model.name)}"
    assert c.held(tmp_path, panel.hash) == [made]


# Figures alone


def test_a_bootstrap_of_dependent_rows_is_wider() -> None:
    """Rows on the same question count as one draw, so the interval of fewer questions is wider."""
    verdicts = [place % 4 != 0 for place in range(80)]
    labels_of = [1] * 80
    alone = agreement.figures(labels_of, verdicts, [str(place) for place in range(80)], 2)
    apart = agreement.figures(labels_of, verdicts, [str(place % 4) for place in range(80)], 2)
    one, other = alone["agreement"], apart["agreement"]
    assert one.value == other.value == 0.75
    assert one.low <= 0.75 <= one.high and 0.1 < one.high - one.low < 0.3 < other.high - other.low


def test_few_clusters_widen_an_interval() -> None:
    """Few clusters widen an interval as Student's t does; with one it is the widest there is."""
    right = [1, 1, 1, 0] * 10
    halves = {}
    for clusters in (4, 40):
        found = agreement.figures([1] * 40, right, [str(place % clusters) for place in range(40)], 2)
        halves[clusters] = found["agreement"]
    assert (halves[4].low, halves[4].high) == (0, 1) and 0.1 < halves[40].low < halves[40].high < 1
    labels_of = [0, 1] * 20
    one = agreement.figures(labels_of, [*labels_of[:30], *[0] * 10], ["x"] * 40, 2)
    assert (one["agreement"].low, one["agreement"].high) == (0, 1)
    assert (one["kappa"].low, one["kappa"].high) == (-1, 1) and 0 < one["kappa"].value < 1


def test_students_t_is_that_of_scipy() -> None:
    """The factor by which few clusters widen is the quantile of Student's t."""
    scipy = pytest.importorskip("scipy.stats", reason="comes with scikit-learn")
    for freedom in (*range(1, 12), 15, 30, 100):
        assert stats.student(freedom) == pytest.approx(scipy.t.ppf(0.975, freedom), rel=2e-3)
    assert stats.student(0) == float("inf")


def test_never_right_is_not_certain_either() -> None:
    """A judge that is wrong on all rows may still be right now and then: its agreement has an upper end."""
    found = agreement.figures([0, 1] * 10, [1, 0] * 10, [str(place) for place in range(20)], 2)
    assert found["agreement"].value == found["agreement"].low == 0 and 0.1 < found["agreement"].high < 0.3


def test_kappa_of_one_label_is_not_a_number() -> None:
    """Where label and verdict are one and the same constant there is no kappa, and nothing is claimed."""
    found = agreement.figures([1] * 10, [1] * 10, list("abcdefghij"), 2)
    assert found["kappa"].value != found["kappa"].value
    assert (found["kappa"].low, found["kappa"].high) == (-1, 1)
    assert found["agreement"].value == 1 and found["agreement"].low < 0.75
