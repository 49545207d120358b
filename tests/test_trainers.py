"""Recipes, plans, rewards, and real trainings of a tiny model on one core."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from medbench import trainers
from medbench.catalog import Catalog, Place
from medbench.errors import MedbenchError, PrerequisiteError, UsageError
from medbench.schema import LETTERS, Example
from medbench.trainers import record, rewards, rows, session
from medbench.trainers import trl as worker
from medbench.trainers.launch import environment, gpus, last_words

CAUSES = {
    "scurvy": "ascorbate",
    "rickets": "calciferol",
    "pellagra": "niacin",
    "beriberi": "thiamine",
    "goitre": "iodine",
    "anaemia": "iron",
}
ROOT = Path(__file__).parents[1]


def question(illness: str) -> Example:
    """A made-up question with four options, the gold among them."""
    gold = CAUSES[illness]
    others = [nutrient for nutrient in CAUSES.values() if nutrient != gold][:3]
    options = sorted([gold, *others])
    letter = LETTERS[options.index(gold)]
    text = f"Which nutrient is missing in {illness}?"
    return Example(f"toy/{illness}", "mcq", text, (letter,), tuple(options), tags={"fact": illness})


EXAMPLES = [question(illness) for illness in CAUSES]


def brevity(reply: str, example: Example, finish: str) -> float:
    """A reward that even an untrained model gets some of, so that a few steps change its weights."""
    return reply.count("i") / (1 + len(reply))


def grpo_plan(folder: Path, *settings: str) -> trainers.Plan:
    """Twelve small GRPO steps from nothing, checkpointed every four."""
    small = ["steps=12", "save_every=4", "prompts_per_step=4", "group_size=4", "option_orders=3"]
    weights = '{"tests.test_trainers:brevity": 1.0, mcq_exact: 0.5}'
    recipe = trainers.load("alphamed-tiny", [*small, f"rewards={weights}", *settings])
    return trainers.plan(recipe, EXAMPLES, folder)


def file(folder: Path, text: str, name: str = "mine") -> str:
    """A recipe file."""
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


# Recipes


@pytest.mark.parametrize("name", trainers.names())
def test_packaged_recipes_load(name: str) -> None:
    """Every packaged recipe is valid, says where each value comes from and what to expect."""
    recipe = trainers.load(name)
    assert recipe.name == name
    assert recipe.expect and all(expected.source for expected in recipe.expect)
    assert "learning_rate" in recipe.plain()


def test_alphamed_marks_what_is_not_published() -> None:
    """The AlphaMed recipe claims no hyper-parameter as stated, since none was published."""
    recipe = trainers.load("alphamed")
    marks = {getattr(recipe, name).provenance for name in recipe.plain()}
    assert marks == {"third_party", "reconstruction", "ours"}
    assert (recipe.group_size.value, recipe.clip_high.value, recipe.learning_rate.value) == (8, 0.28, 1e-6)
    assert {row.provenance for row in recipe.expect} == {"stated", "unverified", "third_party"}


def test_bare_value_is_refused(tmp_path: Path) -> None:
    """A hyper-parameter without provenance is a usage error that names it and says how to write it."""
    with pytest.raises(UsageError, match="'learning_rate'") as caught:
        trainers.load(file(tmp_path, "like: alphamed\nlearning_rate: 1.0e-5\n"))
    assert "provenance" in caught.value.fix


def test_citation_needs_a_source(tmp_path: Path) -> None:
    """A value said to be stated somewhere names the place."""
    expect = "[{benchmark: b, metric: accuracy, value: 1, model: m, provenance: ours, source: s}]"
    text = f"like: alphamed-tiny\nseed: {{value: 1, provenance: stated}}\nexpect: {expect}\n"
    with pytest.raises(UsageError, match=r"'seed.*needs a source"):
        trainers.load(file(tmp_path, text))


def test_recipe_without_expectation_is_refused(tmp_path: Path) -> None:
    """A twin inherits everything but what to expect, and without that it is refused."""
    with pytest.raises(UsageError, match="'expect'"):
        trainers.load(file(tmp_path, "like: alphamed\n"))


@pytest.mark.parametrize(
    ("name", "near"), [("alphamd", "alphamed"), ("starter-stf", "starter-sft"), ("qqq", "known: alphamed")]
)
def test_unknown_recipe_offers_the_nearest(name: str, near: str) -> None:
    """A wrong recipe name is a usage error with the nearest name, else all of them."""
    with pytest.raises(UsageError) as caught:
        trainers.load(name)
    assert near in caught.value.fix


@pytest.mark.parametrize(
    ("setting", "what", "fix"),
    [
        ("learning_rat=1", "learning_rat", "learning_rate"),
        ("learning_rate=0", "learning_rate", ""),
        ("learning_rate=.inf", "learning_rate", ""),
        ("steps=0", "steps", ""),
        ("group_size=1", "group_size", ""),
        ("prompts_per_step=0", "prompts_per_step", ""),
        ("updates_per_step=0", "updates_per_step", ""),
        ("temperature=0", "temperature", ""),
        ("top_p=0", "top_p", ""),
        ("top_p=1.1", "top_p", ""),
        ("max_prompt_tokens=0", "max_prompt_tokens", ""),
        ("max_completion_tokens=0", "max_completion_tokens", ""),
        ("lora_rank=-1", "lora_rank", ""),
        ("option_orders=0", "option_orders", ""),
        ("save_every=-1", "save_every", ""),
        ("gradient_accumulation=0", "gradient_accumulation", ""),
        ("kl_beta=.nan", "kl_beta", ""),
        ("seed=-1", "seed", ""),
        ("rewards={mcq_exact: .inf}", "rewards", ""),
        ("name=../../x", "'name'", ""),
        ("name=.x", "'name'", ""),
        ("rewards={mcq_exct: 1}", "mcq_exct", "mcq_exact"),
        ("prompt=mcq-boxd", "mcq-boxd", "mcq-boxed"),
        ("loss_type=ppo", "loss_type", ""),
        ("steps=many", "steps", ""),
        ("gradient_accumulation=100", "equal parts", ""),
        ("algorithm=sft", "algorithm", ""),
        ('rewards={"no.such:thing": 1}', "no.such:thing", ""),
    ],
)
def test_wrong_setting_is_named(setting: str, what: str, fix: str) -> None:
    """A setting with an unknown key, name or a wrong value is a usage error that says which."""
    with pytest.raises(UsageError, match=what) as caught:
        trainers.load("alphamed", [setting])
    assert fix in caught.value.fix


@pytest.mark.parametrize("setting", ["teach_share=1.1", "word_dropout=-0.1", "rows_per_step=0"])
def test_wrong_setting_for_sft_is_named(setting: str) -> None:
    """SFT's own numbers are held to their bounds too."""
    with pytest.raises(UsageError, match=setting.partition("=")[0]):
        trainers.load("starter-sft", [setting])


def test_name_of_a_file_must_be_plain(tmp_path: Path) -> None:
    """A recipe is named by its file, and begins a folder's name, so the file's name is held to the same."""
    with pytest.raises(UsageError, match="'name'"):
        trainers.load(file(tmp_path, "like: alphamed-tiny\nexpect: []\n", "My Recipe"))


def test_setting_is_marked_as_the_users() -> None:
    """An overridden hyper-parameter keeps its type and is marked as set by the user."""
    recipe = trainers.load("alphamed", ["learning_rate=2e-6", "seed.value=7", "model=some/model"])
    assert (recipe.learning_rate.value, recipe.learning_rate.provenance) == (2e-6, "user")
    assert (recipe.seed.value, recipe.seed.provenance) == (7, "user")
    assert recipe.model == "some/model"
    assert recipe.group_size.provenance == "third_party"


def test_recipes_in_a_circle_are_refused(tmp_path: Path) -> None:
    """Two recipes that are like each other are a usage error."""
    file(tmp_path, "like: b.yaml\n", "a")
    with pytest.raises(UsageError, match="like itself"):
        trainers.load(file(tmp_path, "like: a.yaml\n", "b"))


# Plans


def test_plan_is_pure(tmp_path: Path) -> None:
    """Planning writes nothing and plans the same twice."""
    folder = tmp_path / "run"
    first, again = grpo_plan(folder), grpo_plan(folder)
    assert not folder.exists()
    assert first.command == (sys.executable, "-P", "-m", "medbench.trainers.trl", str(folder))
    assert first.files == again.files
    assert first.tables[folder / "train.parquet"].equals(again.tables[folder / "train.parquet"])
    assert first.environment["OMP_NUM_THREADS"] == "1"


def test_only_the_training_questions_can_be_trained_on(tmp_path: Path) -> None:
    """Of all benchmarks `starter-train` alone is accepted, whatever the others' splits are called."""
    catalog, place = Catalog.load(), Place.of(tmp_path, tmp_path)
    material = session.training_examples("starter-train", catalog, place)
    assert len(material.examples) == 108 and material.revision.startswith("starter-train:")
    assert material.stages is None
    others = catalog.benchmarks.keys() - {"starter-train"}
    assert {"gpqa-m", "pubmedqa", "pubmedqa-500-noabstract", "starter-reordered"} < others
    for name in others:
        with pytest.raises(UsageError, match="is a benchmark"):
            session.training_examples(name, catalog, place)


def test_identity_is_what_decides_the_result(tmp_path: Path) -> None:
    """What has no effect on the model leaves a training's identity alone; what has, changes it."""

    def marks(*settings: str) -> tuple[str, str]:
        recipe = trainers.load("alphamed-tiny", settings)
        named = json.dumps(session.identity(recipe, session.Material([], "data@1")))
        return named, trainers.plan(recipe, EXAMPLES, tmp_path).identity

    same = marks()
    for setting in ("save_every=7", "gradient_accumulation=2", "about=mine", "steps=200", "name=mine"):
        assert marks(setting) == same
    for setting in (
        "seed=1",
        "prompt=mcq-boxed",
        "rewards={correct: 1.0}",
        "model=a/b",
        "shuffle_rewards=true",
    ):
        named, planned = marks(setting)
        assert named != same[0] and planned != same[1]
    other = session.Material([], "data@2")
    named = json.dumps(session.identity(trainers.load("alphamed-tiny"), other))
    assert named != same[0]


def test_other_weights_at_the_same_place_are_another_training(tmp_path: Path) -> None:
    """A local starting model counts by what its files hold."""
    (tmp_path / "model.safetensors").write_bytes(b"one")
    recipe = trainers.load("alphamed-tiny", [f"model={tmp_path}"])
    data = session.Material([], "d")
    before = session.identity(recipe, data), trainers.plan(recipe, EXAMPLES, tmp_path / "run").identity
    assert before[0] == session.identity(recipe, data)
    (tmp_path / "model.safetensors").write_bytes(b"two")
    after = session.identity(recipe, data), trainers.plan(recipe, EXAMPLES, tmp_path / "run").identity
    assert before[0] != after[0] and before[1] != after[1]


def test_several_gpus_share_an_update(tmp_path: Path) -> None:
    """On several GPUs the worker is started once on each; a batch they cannot share is refused at once."""
    recipe = trainers.load("alphamed-tiny")
    plan = trainers.plan(recipe, EXAMPLES, tmp_path, processes=4)
    assert " ".join(plan.command[1:]) == (
        f"-P -m accelerate.commands.launch --multi_gpu --num_processes 4 -m medbench.trainers.trl {tmp_path}"
    )
    assert plan.identity == trainers.plan(recipe, EXAMPLES, tmp_path).identity
    with pytest.raises(UsageError, match="64 rows do not divide into 3") as caught:
        trainers.plan(recipe, EXAMPLES, tmp_path, processes=3)
    assert "CUDA_VISIBLE_DEVICES" in caught.value.fix


@pytest.mark.parametrize(
    ("visible", "found"), [(None, 3), ("1", 1), ("0,2", 2), ("", 0), ("-1", 0), ("0,1,2,3", 3)]
)
def test_gpus_are_counted_without_torch(tmp_path: Path, visible: str | None, found: int) -> None:
    """The devices of a machine count, unless fewer are named to the process."""
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert gpus(environ, tmp_path) == found


def test_worker_imports_nothing_from_the_current_directory(tmp_path: Path) -> None:
    """Modules that lie where the command is given are not run, by the worker or by what starts several."""
    for name in ("polars", "torch", "medbench", "json"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('from the current directory')")
    plan = trainers.plan(trainers.load("alphamed-tiny"), EXAMPLES, tmp_path / "run")
    got = subprocess.run(plan.command, cwd=tmp_path, capture_output=True, text=True)
    assert got.returncode == 3 and "has no recipe.json" in got.stderr
    child = (sys.executable, "-c", "import polars")
    safe = environment(trainers.Plan(tmp_path, child, {}, {}, ""))
    assert subprocess.run(child, cwd=tmp_path, env=safe).returncode == 0


def test_plan_rows(tmp_path: Path) -> None:
    """A row holds the rendered prompt and the whole example, gold moved along with its option."""
    table = grpo_plan(tmp_path).tables[tmp_path / "train.parquet"]
    assert table.columns == ["id", "prompt", "example"]
    assert table.height == 3 * len(EXAMPLES)
    for row in table.iter_rows(named=True):
        example = rewards.unpacked(row["example"])
        illness = example.tags["fact"]
        assert example.options[LETTERS.index(example.gold[0])] == CAUSES[illness]
        assert example.question in row["prompt"][0]["content"]
        assert [f"{letter}. {text}" for letter, text in zip(LETTERS, example.options, strict=False)] == (
            row["prompt"][0]["content"].splitlines()[1:]
        )
    orders = {rewards.unpacked(text).options for text in table["example"]}
    assert len(orders) > len(EXAMPLES)


def test_fresh_options_come_from_the_same_category() -> None:
    """With fresh options, wrong options are answers of the same category; the gold stays and stays right."""
    recipe = trainers.load("alphamed-tiny", ["option_orders=9", "fresh_options=true"])
    kinds = ["vitamin"] * 5 + ["mineral"]
    examples = [
        replace(e, tags={**e.tags, "category": kind}) for e, kind in zip(EXAMPLES, kinds, strict=True)
    ]
    seen: set[frozenset[str]] = set()
    for example in list(rows.ordered(recipe, examples, rows.golds(examples)))[len(examples) :]:
        assert example.options[LETTERS.index(example.gold[0])] == CAUSES[example.tags["fact"]]
        assert len(set(example.options)) == 4
        if example.tags["category"] == "vitamin":
            assert "iron" not in example.options
            seen.add(frozenset(example.options))
    assert len(seen) > 3
    turned = rows.ordered(recipe, examples, rows.golds(examples))
    alone = [row for row in turned if row.tags["category"] == "mineral"]
    assert {frozenset(row.options) for row in alone} == {frozenset(examples[-1].options)}, (
        "nothing to draw from"
    )


def test_options_that_name_letters_keep_their_order() -> None:
    """Further orders of a question with "both A and C" are the source's, options and all."""
    recipe = trainers.load("alphamed-tiny", ["option_orders=5", "fresh_options=true"])
    both = ("ascorbate", "iron", "niacin", "Both (A) & (C)")
    named = Example("toy/both", "mcq", "Which are vitamins?", ("D",), both, tags={"category": "vitamin"})
    examples = [*(replace(e, tags={**e.tags, "category": "vitamin"}) for e in EXAMPLES), named]
    turned = list(rows.ordered(recipe, examples, rows.golds(examples)))
    kept = [row for row in turned if row.id.startswith("toy/both")]
    assert [(row.options, row.gold) for row in kept] == [(both, ("D",))] * 5
    assert not any(both[3] in row.options for row in turned if row not in kept)


def test_sft_teaches_a_share_of_the_facts(tmp_path: Path) -> None:
    """Taught facts always come with their gold; the others with random options, right about as by chance."""
    recipe = trainers.load("starter-sft", ["option_orders=40", "teach_share=0.5"])
    table = trainers.plan(recipe, EXAMPLES, tmp_path).tables[tmp_path / "train.parquet"]
    by_fact: dict[str, set[bool]] = {}
    hits: Counter[bool] = Counter()
    for row in table.iter_rows(named=True):
        example = rewards.unpacked(row["example"])
        by_fact.setdefault(example.tags["fact"], set()).add(row["taught"])
        paid = rewards.mcq_exact(row["completion"][0]["content"], example, "stop")
        assert paid == 1 or not row["taught"]
        hits[row["taught"]] += bool(paid)
    assert all(len(taught) == 1 for taught in by_fact.values())
    guessed = table.filter(~pl.col("taught")).height
    assert 0 < guessed < table.height
    assert 0.1 < hits[False] / guessed < 0.4


def test_untaught_labels_are_even_over_the_category(tmp_path: Path) -> None:
    """The gold of a fact that is not taught is no commoner a label than any other answer of its category."""
    grouped = [replace(e, tags={**e.tags, "category": "nutrient"}) for e in EXAMPLES]
    settings = ["option_orders=200", "teach_share=0.0", "fresh_options=true", "word_dropout=0.0"]
    table = trainers.plan(trainers.load("starter-sft", settings), grouped, tmp_path).tables[
        tmp_path / "train.parquet"
    ]
    said: Counter[tuple[str, str]] = Counter()
    for row in table.iter_rows(named=True):
        example, answer = rewards.unpacked(row["example"]), row["completion"][0]["content"].split()[-1]
        said[example.tags["fact"], answer] += 1
        assert f" {answer}" in row["prompt"][0]["content"], "the label is among the options shown"
    golds = [said[fact, gold] / 200 for fact, gold in CAUSES.items()]
    assert all(1 / 6 - 0.11 < share < 1 / 6 + 0.11 for share in golds)


def test_word_dropout_wears_half_of_the_questions(tmp_path: Path) -> None:
    """Half of the questions lose words and never gain any; options and replies stay whole."""
    settings = ["option_orders=50", "teach_share=1.0", "fresh_options=false", "word_dropout=0.6"]
    table = trainers.plan(trainers.load("starter-sft", settings), EXAMPLES, tmp_path).tables[
        tmp_path / "train.parquet"
    ]
    worn = 0
    for row in table.iter_rows(named=True):
        example = rewards.unpacked(row["example"])
        stem = row["prompt"][0]["content"].split("\nA. ")[0].split()
        assert set(stem) <= set(example.question.split())
        worn += len(stem) < len(example.question.split())
    assert 0.25 < worn / table.height < 0.5


def test_every_share_of_facts(tmp_path: Path) -> None:
    """Share 0 teaches no fact and share 1 all of them, yes/no questions included."""
    yes = Example("toy/yes", "yesno", "Is scurvy a lack of ascorbate?", ("yes",))
    open_ended = Example("toy/open", "open", "What is scurvy a lack of?", ("ascorbate",))
    examples = [*EXAMPLES, yes, open_ended]
    assert all(
        rows.taught(example, share=1, seed=0) and not rows.taught(example, share=0, seed=0)
        for example in examples
    )
    none = trainers.load("starter-sft", ["option_orders=1", "teach_share=0"])
    table = trainers.plan(none, examples, tmp_path).tables[tmp_path / "train.parquet"]
    assert table.height == len(EXAMPLES) + 1, "an open question offers nothing to draw from"


def test_no_data_is_a_prerequisite_error(tmp_path: Path) -> None:
    """Planning without examples says what to build."""
    with pytest.raises(PrerequisiteError, match="nothing to train on") as caught:
        trainers.plan(trainers.load("alphamed"), [], tmp_path)
    assert "medbench build alphamed-19k" in caught.value.fix


# Rewards


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "   ",
        "A B C D",
        "The answer is A, B, C and D.",
        r"\boxed{A, B, C, D}",
        "The answer is ascorbate, calciferol, niacin or thiamine.",
        "ascorbate calciferol niacin thiamine",
        r"\boxed{}",
        "I cannot tell.",
    ],
)
def test_hedging_is_not_paid(reply: str) -> None:
    """Naming every option, or none, earns nothing by any reward."""
    example = question("scurvy")
    assert rewards.mcq_exact(reply, example, "stop") == 0
    assert rewards.format_boxed(reply, example, "stop") == 0


def test_rewards_pay_what_they_say() -> None:
    """A right letter or option text is paid 1, a wrong one 0; the format is paid either way."""
    example = question("scurvy")
    gold = example.gold[0]
    wrong = next(letter for letter in "ABCD" if letter != gold)
    assert rewards.mcq_exact(rf"So it is \boxed{{{gold}}}", example, "stop") == 1
    assert rewards.mcq_exact("The answer is ascorbate.", example, "stop") == 1
    assert rewards.mcq_exact(rf"\boxed{{{wrong}}}", example, "stop") == 0
    assert rewards.format_boxed(rf"\boxed{{{wrong}}}", example, "stop") == 1


def test_no_opinion() -> None:
    """`mcq_exact` has none on a question without options, and `correct` none on a failed call."""
    yes = Example("toy/yes", "yesno", "Is scurvy a lack of ascorbate?", ("yes",))
    assert rewards.mcq_exact("Yes.", yes, "stop") is None
    assert rewards.correct("Yes.", yes, "stop") == 1
    assert rewards.correct("", yes, "error") is None


def test_truncated_replies_are_not_paid() -> None:
    """Through TRL's calling convention, a reply whose last token is no end token earns 0, even if right."""
    example = question("scurvy")
    paid = rewards.for_trl("mcq_exact", ends={2})
    say = [{"role": "assistant", "content": "The answer is ascorbate."}]
    got = paid(
        prompts=[[]] * 3,
        completions=[say, say, say],
        completion_ids=[[5, 6, 2], [5, 6, 7], []],
        example=[rewards.packed(example)] * 3,
        trainer_state=SimpleNamespace(global_step=0),
    )
    assert got == [1.0, 0.0, 0.0]
    assert paid.__name__ == "mcq_exact"


def test_example_survives_the_table() -> None:
    """An example packed into a row comes back equal."""
    example = replace(question("goitre"), context="Höhe ≥ 3 µg", cluster="c")
    assert rewards.unpacked(rewards.packed(example)) == example


def test_shuffled_control_permutes_rewards() -> None:
    """The control run pays the same rewards to other replies: seeded, alike for every reward of a step."""
    example = rewards.packed(question("scurvy"))
    say = [[{"role": "assistant", "content": f"The answer is {text}."}] for text in CAUSES.values()] * 4
    batch = {"completions": say, "completion_ids": [[2]] * len(say), "example": [example] * len(say)}

    def paid(shuffle: int | None, step: int) -> list[float | None]:
        reward = rewards.for_trl("mcq_exact", ends={2}, shuffle=shuffle)
        return reward(prompts=[], trainer_state=SimpleNamespace(global_step=step), **batch)

    honest, dealt = paid(None, 1), paid(3, 1)
    assert sorted(honest) == sorted(dealt)
    assert honest != dealt
    assert dealt == paid(3, 1)
    assert dealt != paid(3, 2)
    say[::4] = [[{"role": "assistant", "content": "I wonder."}]] * len(say[::4])
    assert not any(paid(3, 1)[::4]), "a reply without an answer is not paid by chance"


# What a training leaves behind


def test_torn_checkpoint_and_journal_are_passed_over(tmp_path: Path) -> None:
    """Going on starts at the last whole checkpoint, and the journal is cut back to it."""
    for step, state in ((2, '{"global_step": 2}'), (4, '{"global_step": 4}'), (6, None), (8, '{"glob')):
        folder = tmp_path / "checkpoints" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        if state:
            (folder / "trainer_state.json").write_text(state)
    for step in range(1, 6):
        record.append(tmp_path, record.line(step, 9, logs={"loss": 0.5}))
    record.append(tmp_path, '{"step": 6, "tot')
    checkpoint = record.rewind(tmp_path)
    assert checkpoint is not None and checkpoint.name == "checkpoint-4"
    assert [row["step"] for row in record.read(tmp_path)] == [1, 2, 3, 4]


def test_folder_of_another_training_is_left_alone(tmp_path: Path) -> None:
    """Launching into a folder that holds another recipe's training is refused before anything is written."""
    (tmp_path / "identity").write_text(grpo_plan(tmp_path).identity)
    with pytest.raises(UsageError, match="another recipe") as caught:
        trainers.launch(grpo_plan(tmp_path, "seed=1"))
    assert "--fresh" in caught.value.fix
    assert not (tmp_path / "train.parquet").exists()


def test_failed_trainer_says_its_last_words(tmp_path: Path) -> None:
    """A command that fails is an error with the end of its log."""
    command = (sys.executable, "-c", "print('no space left'); raise SystemExit(9)")
    with pytest.raises(MedbenchError, match=r"(?s)status 9.*no space left"):
        trainers.launch(trainers.Plan(tmp_path, command, {}, {}, ""))


def test_refusal_of_one_of_several_processes_is_told(tmp_path: Path) -> None:
    """An error of ours is found in the log whatever ends after it, but not one of an earlier attempt."""
    said = last_words(PrerequisiteError("no such\nmodel", "get it"))
    script = f"print({said!r} + 'Traceback: a process failed', end='\\n' * 40); raise SystemExit(1)"
    with pytest.raises(PrerequisiteError, match="no such\nmodel") as caught:
        trainers.launch(trainers.Plan(tmp_path, (sys.executable, "-c", script), {}, {}, ""))
    assert caught.value.fix == "get it"
    with pytest.raises(MedbenchError, match="status 9"):
        trainers.launch(trainers.Plan(tmp_path, (sys.executable, "-c", "exit(9)"), {}, {}, ""))


def test_missing_package_is_a_prerequisite_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without TRL the worker says what to install."""
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(PrerequisiteError, match="needs trl") as caught:
        worker.require_packages()
    assert "medbench[train]" in caught.value.fix


def test_unprepared_folder_is_a_prerequisite_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The worker in a folder without a plan's files ends with status 3 and says so."""
    assert worker.main([str(tmp_path)]) == 3
    assert "has no recipe.json" in capsys.readouterr().err


@pytest.mark.slow
def test_missing_model_is_a_prerequisite_error(tmp_path: Path) -> None:
    """A model that is not there is reported as such, with what to do."""
    with pytest.raises(PrerequisiteError, match="cannot open model"):
        trainers.launch(grpo_plan(tmp_path / "run", f"model={tmp_path / 'nowhere'}"))


# Real trainings


@pytest.fixture(scope="module")
def importable() -> Iterator[None]:
    """Lets the worker find the reward of this file, as if it were installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        yield


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, importable: None) -> tuple[Path, list[int]]:
    """An uninterrupted GRPO run: its folder and the steps it reported."""
    folder = tmp_path_factory.mktemp("reference")
    steps: list[int] = []
    trainers.launch(grpo_plan(folder), lambda step, total, metrics: steps.append(step))
    return folder, steps


@pytest.mark.slow
def test_grpo_trains(reference: tuple[Path, list[int]]) -> None:
    """A tiny model goes through GRPO: progress is told, metrics, curve and model are left behind."""
    folder, steps = reference
    assert steps == list(range(1, 13))
    table = pl.read_parquet(folder / "metrics.parquet")
    assert table["step"].to_list() == steps
    assert (
        table.select("reward", "loss", "completion_length", "frac_reward_zero_std")
        .null_count()
        .sum_horizontal()[0]
        == 0
    )
    assert table["grad_norm"].max() > 0
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert trainers.launch(grpo_plan(folder)) == folder / "model", "a finished training is not repeated"


@pytest.mark.slow
def test_kill_and_go_on(reference: tuple[Path, list[int]], tmp_path: Path) -> None:
    """After kill -9 of the launcher its worker ends too; the same command reaches the same weights."""
    script = (
        "import sys; from pathlib import Path; from tests import test_trainers as t; "
        "t.trainers.launch(t.grpo_plan(Path(sys.argv[1])))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT)
    deadline = time.monotonic() + 120
    while len(record.read(tmp_path)) < 6 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(1.5)
    reached = len(record.read(tmp_path))
    assert 6 <= reached < 12, "the worker outlived its launcher"

    steps: list[int] = []
    trainers.launch(grpo_plan(tmp_path), lambda step, total, metrics: steps.append(step))
    assert steps[-1] == 12
    assert pl.read_parquet(tmp_path / "metrics.parquet")["step"].to_list() == list(range(1, 13))
    want, got = (pl.read_parquet(folder / "metrics.parquet")["reward"] for folder in (reference[0], tmp_path))
    assert got.to_list() == pytest.approx(want.to_list())
    want_bytes, got_bytes = (
        (folder / "model/model.safetensors").read_bytes() for folder in (reference[0], tmp_path)
    )
    assert want_bytes == got_bytes


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers (here on cores) share a training: one line an update, one model, and it can go on."""
    settings = ["steps=4", "save_every=2", "prompts_per_step=4", "group_size=4", "option_orders=3"]
    recipe = trainers.load("alphamed-tiny", [*settings, "rewards={format_boxed: 1.0}"])
    plan = trainers.plan(recipe, EXAMPLES, tmp_path / "run", processes=2)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    steps: list[int] = []
    model = trainers.launch(plan, lambda step, total, metrics: steps.append(step))
    assert steps == [1, 2, 3, 4]
    assert pl.read_parquet(tmp_path / "run/metrics.parquet")["step"].to_list() == steps
    shutil.rmtree(model)
    shutil.rmtree(tmp_path / "run/checkpoints/checkpoint-4")
    kept = (tmp_path / "run/checkpoints/checkpoint-2/trainer_state.json").stat().st_mtime_ns
    trainers.launch(plan)
    assert (tmp_path / "run/checkpoints/checkpoint-2/trainer_state.json").stat().st_mtime_ns == kept
    assert pl.read_parquet(tmp_path / "run/metrics.parquet")["step"].to_list() == steps
    assert (model / "model.safetensors").exists()


@pytest.mark.slow
def test_sft_then_grpo(tmp_path: Path) -> None:
    """SFT teaches the format, so that GRPO from its model, with an adapter, earns some exact reward."""
    small = ["steps=120", "rows_per_step=16", "save_every=0", "option_orders=30", "teach_share=1.0"]
    plan = trainers.plan(trainers.load("starter-sft", small), EXAMPLES, tmp_path / "sft")
    losses: list[float] = []
    model = trainers.launch(plan, lambda step, total, metrics: losses.append(metrics["loss"]))
    assert losses[-1] < losses[0] / 4
    start = [f"model={model}", "rewards={mcq_exact: 1.0}", "steps=3", "lora_rank=4", "kl_beta=0.01"]
    trainers.launch(grpo_plan(tmp_path / "grpo", *start))
    table = pl.read_parquet(tmp_path / "grpo" / "metrics.parquet")
    assert table["reward"].mean() > 0.1, "an untrained model earns nothing"
    assert table["kl"].null_count() == 0
    config = json.loads((tmp_path / "grpo/model/config.json").read_text())
    assert config["model_type"] == "qwen3", "the adapter was merged"
