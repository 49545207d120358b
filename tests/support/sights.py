"""Small made-up pictures with questions on them, in VQA-RAD's layout, and a catalog around them."""

import io
import json
from pathlib import Path

from PIL import Image

PARTS = ("HEAD", "CHEST", "ABD")


def png(number: int, size: int = 24) -> bytes:
    """Picture `number`: a square of its own colour on a ground of its own."""
    picture = Image.new("RGB", (size, size), (number % 256, 40, 200))
    picture.paste((250, number * 7 % 256, number // 256), (4, 4, size // 2, size // 2))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def row(number: int, images: int) -> dict[str, object]:
    """Question `number` on picture `number % images`, of a third of the body each."""
    shown = number % images
    return {
        "qid": number,
        "image_name": f"p{shown:03}.png",
        "image_organ": PARTS[shown % 3],
        "answer": ("yes", "no", "a small mass")[number % 3],
        "answer_type": ("CLOSED", "CLOSED", "OPEN")[number % 3],
        "question_type": "PRES",
        "question": f"Question {number}: what of this picture?",
        "phrase_type": "freeform",
    }


def catalog(folder: Path, n: int, images: int, name: str = "seen") -> Path:
    """A catalog file with benchmark `name` of `n` questions on `images` pictures, in `folder/mirror`."""
    pictures = folder / "mirror" / name / "images"
    pictures.mkdir(parents=True, exist_ok=True)
    for number in range(images):
        (pictures / f"p{number:03}.png").write_bytes(png(number))
    rows = [row(number, images) for number in range(n)]
    (pictures.parent / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
    path = folder / f"{name}.yaml"
    path.write_text(
        f"""
sources:
  {name}:
    title: Made-up pictures
    license: CC0-1.0
    cite: nobody
    original:
      test:
        files: {{{name}/rows.json: null}}
        format: json
        adapter: vqa:vqa_rad
        images: [{name}/images]
benchmarks:
  {name}: {{source: {name}, split: test, prompt: vqa-plain}}
suites:
  {name}-two:
    title: Twice
    benchmarks: [{name}, {name}-closed]
    parts: {{in: [{name}], out: [{name}-closed]}}
""".replace("suites:", f"  {name}-closed: {{like: {name}, where: {{kind: yesno}}}}\nsuites:"),
        encoding="utf-8",
    )
    return path
