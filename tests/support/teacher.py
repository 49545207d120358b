"""A scripted teacher, checker, tagger and policy behind one loop-back server, told apart by their prompts."""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

CAPTION = re.compile(r"<<<CAPTION\n(.*)\nCAPTION>>>", re.DOTALL)
OPTION = re.compile(r"^([A-J])[.:] (.+)$", re.MULTILINE)
WRONG = ("no sign of disease", "a metallic implant", "a foreign body")

Body = dict[str, Any]


def text_of(body: Body) -> str:
    """All text of a request."""
    parts = []
    for message in body["messages"]:
        content = message["content"]
        parts += (
            [content] if isinstance(content, str) else [p["text"] for p in content if p["type"] == "text"]
        )
    return "\n".join(parts)


def role(body: Body) -> str:
    """Whom a request is put to."""
    text = text_of(body)
    for start, name in (
        ("Write one multiple-choice question", "teacher"),
        ("A caption describes a medical image", "checker"),
        ("Sort a question about the medical image", "tagger"),
    ):
        if start in text:
            return name
    return "solver"


def lot(*parts: object) -> float:
    """A number in [0, 1) that its parts decide."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:7], "big") / 2**56


def caption_of(text: str) -> str:
    """The caption in a request."""
    found = CAPTION.search(text)
    assert found, "no caption in the request"
    return found[1]


def answer_in(caption: str) -> str:
    """What the scripted teacher takes for the answer: the caption's last three words."""
    return " ".join(caption.strip(" .").split()[-3:])


def good(body: Body) -> dict[str, Any]:
    """A sound question on the caption of a request."""
    text = text_of(body)
    caption = caption_of(text)
    level = int(re.search(r"^Level: (\d)", text, re.MULTILINE)[1])  # type: ignore[index]
    task = re.search(r"^Task: (.+) \(", text, re.MULTILINE)[1]  # type: ignore[index]
    answer = answer_in(caption)
    options = [answer, *WRONG]
    start = int(lot("turn", caption) * 4)
    turned = options[start:] + options[:start]
    return {
        "question": f"What does this picture show best, looked at for {task}?",
        "options": dict(zip("ABCD", turned, strict=True)),
        "answer": "ABCD"[turned.index(answer)],
        "level": level,
        "task": task,
        "modality": "microscopy",
        "evidence": answer,
    }


def support(body: Body) -> str:
    """The checker's letter: the option that stands in the caption."""
    text = text_of(body)
    caption = caption_of(text)
    letters = [letter for letter, option in OPTION.findall(text) if option in caption]
    return json.dumps({"answer": letters[0] if len(letters) == 1 else "none"})


def policy(p: float, golds: dict[str, str]) -> Callable[[Body], str]:
    """A policy that is right with probability `p`; `golds` has the answers to questions not drafted."""

    def reply(body: Body) -> str:
        text = text_of(body)
        options = dict(OPTION.findall(text))
        right = [letter for letter, option in options.items() if option not in WRONG]
        gold = next((gold for question, gold in golds.items() if question in text), None)
        gold = gold or (right[0] if len(right) == 1 and options else "yes")
        if lot(text, body.get("seed")) >= p:
            wrong = [letter for letter in options if letter != gold]
            gold = wrong[0] if wrong else {"yes": "no", "no": "yes"}.get(gold, "something else")
        return f"<think>Looking.</think><answer>{gold}</answer>"

    return reply


def scripted(
    p: float = 0.5,
    *,
    golds: dict[str, str] | None = None,
    teacher: Callable[[Body], str] | None = None,
) -> Callable[[Body], str]:
    """Replies of all four roles; `teacher` replaces the teacher's."""
    solve = policy(p, golds or {})
    play: dict[str, Callable[[Body], str]] = {
        "teacher": teacher or (lambda body: json.dumps(good(body))),
        "checker": support,
        "tagger": lambda body: json.dumps({"task": "counting", "modality": "unknown"}),
        "solver": solve,
    }
    return lambda body: play[role(body)](body)
