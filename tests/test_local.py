"""Models in this process: replies do not depend on their batch, samples follow the model's own odds."""

from collections import Counter
from pathlib import Path

import pytest

from medbench import prompts
from medbench.errors import ModelError
from medbench.inference import open_model
from medbench.inference.local import LocalModel
from medbench.inference.types import Reply, Request, Sampling
from medbench.solve import Asking, Requests
from tests.support import questions
from tests.support.process import json_of, medbench

pytest.importorskip("torch", reason="needs the extra `local`")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny untrained model in a folder."""
    from medbench.trainers import tiny

    folder = tmp_path_factory.mktemp("model") / "tiny"
    corpus = [str(m["content"]) for r in asked(40) for m in r.messages]
    tiny.build("tiny:qwen3-64x2", corpus, folder)
    return folder


def asked(n: int, sampling: Sampling | None = None, samples: int = 1) -> list[Request]:
    """Requests for the first n made-up questions."""
    asking = Asking(prompts.named("starter"), sampling or Sampling(max_tokens=8), samples=samples)
    return Requests(questions.examples(n), asking)


def replies(model: LocalModel, requests: list[Request]) -> dict[tuple[str, int], Reply]:
    """Replies by question and sample."""
    got: dict[tuple[str, int], Reply] = {}

    def sink(request: Request, reply: Reply) -> None:
        got[request.example, request.sample] = reply

    model.answer(requests, sink)
    return got


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_reply_does_not_depend_on_its_batch(tiny: Path, temperature: float) -> None:
    """Batches of 1, 3 and 16, whole or in parts: the same replies (so a resumed run draws the same)."""
    sampling = Sampling(temperature=temperature, max_tokens=8, top_p=0.95)
    requests = asked(12, sampling, samples=1 if temperature == 0 else 2)
    whole = replies(LocalModel(str(tiny), batch_size=16), requests)
    assert replies(LocalModel(str(tiny), batch_size=3), requests) == whole
    part = replies(LocalModel(str(tiny), batch_size=1), requests[5:9])
    assert part == {key: whole[key] for key in part}
    assert all(reply.tokens_out <= 8 and reply.tokens_in > 10 for reply in whole.values())


def test_samples_follow_the_models_odds(tiny: Path) -> None:
    """The first sampled token's frequencies match the softmax, within five standard errors."""
    import torch

    model = LocalModel(str(tiny), batch_size=256)
    n = 2000
    sampling = Sampling(temperature=0.3, max_tokens=1)
    drawn = Counter(reply.text for reply in replies(model, asked(1, sampling, samples=n)).values())
    loaded, tokenizer = model.load()
    ids = torch.tensor([model.tokens(tokenizer, asked(1)[0])])
    with torch.inference_mode():
        odds = torch.softmax(loaded(ids).logits[0, -1] / 0.3, dim=-1).tolist()
    said: Counter[str] = Counter()
    for token, p in enumerate(odds):
        said[tokenizer.decode([token], skip_special_tokens=True)] += p
    for text, p in said.most_common(5):
        assert abs(drawn[text] / n - p) < 5 * (p * (1 - p) / n) ** 0.5 + 1e-3


def test_a_length_limit_is_told(tiny: Path) -> None:
    """A reply that ran into max_tokens is truncated, not finished."""
    got = replies(LocalModel(str(tiny)), asked(1, Sampling(max_tokens=1)))
    assert next(iter(got.values())).finish in {"length", "stop"}
    assert sum(reply.tokens_out for reply in got.values()) <= 1


def test_a_missing_model_says_so() -> None:
    """A path without weights is an error with the cure, not a traceback."""
    with pytest.raises(ModelError, match="cannot load model"):
        LocalModel("no/such-model").answer(asked(1), lambda _request, _reply: None)


def test_new_weights_are_a_new_model(tiny: Path, tmp_path: Path) -> None:
    """The model's identity changes when its files do, so no old result is taken for a new one."""
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(tiny, copy)
    before = LocalModel(str(copy)).name
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes() + b"\0")
    assert LocalModel(str(copy)).name != before


def test_loglikelihood_protocol(tiny: Path) -> None:
    """The chosen letter is the likeliest next token after the cloze prompt, as computed by hand."""
    pytest.importorskip("lm_eval", reason="needs the extra `lm-eval`")
    import torch

    asking = Asking(prompts.named("mcq-cloze"), protocol="loglikelihood")
    requests = Requests(questions.examples(12), asking)
    chosen = {name: reply.text for (name, _), reply in replies(LocalModel(str(tiny)), requests).items()}
    model, tokenizer = LocalModel(str(tiny)).load()
    for request in requests:
        text = str(request.messages[0]["content"])
        scores = []
        for letter in request.choices:
            ids = tokenizer(f"{text} {letter}", return_tensors="pt")["input_ids"]
            start = len(tokenizer(text)["input_ids"])
            with torch.inference_mode():
                odds = model(ids).logits.log_softmax(-1)[0]
            scores.append(sum(float(odds[i - 1, ids[0, i]]) for i in range(start, ids.shape[1])))
        assert chosen[request.example] == request.choices[scores.index(max(scores))]
    assert len(set(chosen.values())) > 1


def test_lm_eval_class_as_a_back_end(tiny: Path) -> None:
    """lm-eval's own model class writes the greedy reply that ours writes."""
    pytest.importorskip("lm_eval", reason="needs the extra `lm-eval`")
    requests = asked(3)
    got: dict[str, str] = {}

    def sink(request: Request, reply: Reply) -> None:
        got[request.example] = reply.text

    open_model(f"lm-eval:hf,pretrained={tiny},device=cpu,dtype=float32").answer(requests, sink)
    ours = {name: reply.text for (name, _), reply in replies(LocalModel(str(tiny)), requests).items()}
    assert {k: v.strip() for k, v in got.items()} == {k: v.strip() for k, v in ours.items()}


def test_exported_tasks_run_in_lm_eval(tiny: Path, tmp_path: Path, home: Path) -> None:
    """The harness loads our tasks by itself, and its accuracy is ours on the same greedy replies."""
    lm_eval = pytest.importorskip("lm_eval", reason="needs the extra `lm-eval`")
    from lm_eval.tasks import TaskManager

    catalog = ["--catalog", str(questions.catalog(tmp_path, 12)), "--mirror", str(tmp_path / "mirror")]
    medbench("export", "made", "--for", "lm-eval", "--out", str(tmp_path / "tasks"), *catalog, home=home)
    manager = TaskManager(include_path=str(tmp_path / "tasks"), include_defaults=False)
    found = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(tiny), "device": "cpu", "dtype": "float32"},
        tasks=["medbench_made"],
        task_manager=manager,
        gen_kwargs={"max_gen_toks": 8},
        apply_chat_template=True,
        bootstrap_iters=0,
    )
    assert found["n-samples"]["medbench_made"]["effective"] == 12
    options = ["-b", "made", "-m", f"local:{tiny}", "--set", "sampling.max_tokens=8", *catalog]
    ours = json_of("eval", *options, home=home)["results"][0]
    assert found["results"]["medbench_made"]["acc,none"] == pytest.approx(ours["value"])
    scored = [*options, "--protocol", "loglikelihood"]
    likeliest = json_of("eval", *scored, home=home)["results"][0]
    plain = lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(tiny), "device": "cpu", "dtype": "float32"},
        tasks=["medbench_made_loglikelihood"],
        task_manager=manager,
        bootstrap_iters=0,
    )
    assert plain["results"]["medbench_made_loglikelihood"]["acc,none"] == pytest.approx(likeliest["value"])
