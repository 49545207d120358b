"""Short answers to questions about an image: the rules of the VQA harnesses."""

import re
import string
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from medbench.parity.types import NOTHING, Mark, Profile, Reader, mean
from medbench.schema import Example, Kind

Spelling = Callable[[str], str]

_CHINESE = "！？｡。＂＃＄％＆＇（）＊＋，－／：；＜＝＞＠［＼］＾＿｀｛｜｝～、《》【】"
_BLANKED = str.maketrans(dict.fromkeys(string.punctuation + _CHINESE, " "))
_REMOVED = str.maketrans(dict.fromkeys(string.punctuation, ""))
_ARTICLES = frozenset(("a", "an", "the"))
_COUNTED = "none,zero,零 one,一 two,二,两 three,三 four,四 five,五 six,六 seven,七 eight,八 nine,九 ten,十"
_NUMBERS = {word: str(number) for number, words in enumerate(_COUNTED.split()) for word in words.split(",")}
_X_RAY = frozenset(("x ray", "xray", "x光", "x 光", "x射线", "x 射线"))

_SHARED_YES = "yes yeah yep true 是 是的 有 包含 可以 能 会"
_SHARED_NO = "no nope false 否 不是 没有 无 不包含 不能 不会 不可以 不正常"
LMMS_YES = frozenset(f"{_SHARED_YES} 正常".split())
LMMS_NO = frozenset(f"{_SHARED_NO} 异常".split())
EVALSCOPE_YES = frozenset(f"{_SHARED_YES} 存在".split())
EVALSCOPE_NO = frozenset(f"{_SHARED_NO} 不存在".split())


def _without_asides(text: str) -> str:
    for opening, closing in ("()", "（）"):
        # Up to the last closing bracket every opening one has an end, so that this takes linear time.
        end = text.rfind(closing) + 1
        text = re.sub(rf"\{opening}[^{closing}]*\{closing}", " ", text[:end]) + text[end:]
    return text


def _bare(text: str) -> str:
    return " ".join(_without_asides(text.lower()).translate(_BLANKED).split())


def _polarity(text: str, yes: frozenset[str], no: frozenset[str]) -> str:
    return "yes" if text in yes else "no" if text in no else text


def lmms_spelling(text: str) -> str:
    """Lower case, no brackets or punctuation, x-ray as one word, yes and no by their synonyms."""
    text = _bare(text)
    return "xray" if text in ("x ray", "xray") else _polarity(text, LMMS_YES, LMMS_NO)


def _digit(word: str) -> str:
    counted = word.removesuffix("个")
    return _NUMBERS.get(word, _NUMBERS.get(counted, counted if counted.isdigit() else word))


def evalscope_spelling(text: str) -> str:
    """The same, with articles dropped and number words as digits."""
    text = " ".join(word for word in map(_digit, _bare(text).split()) if word not in _ARTICLES)
    return "xray" if text in _X_RAY else _polarity(text, EVALSCOPE_YES, EVALSCOPE_NO)


def slake_spelling(text: str) -> str:
    """Lower case, no punctuation or articles, number words as digits, "x ray" as one word."""
    words = (_digit(word) for word in text.lower().translate(_BLANKED).split())
    return " ".join(word for word in words if word not in _ARTICLES).replace("x ray", "xray")


def equal(spelling: Spelling, whole: Callable[[str], str] = str.strip) -> Reader:
    """A reader that compares the whole reply with the golds under one spelling."""

    def read(reply: str, example: Example) -> Mark:
        said = spelling(whole(reply))
        return Mark(said or None, said in map(spelling, example.gold), "read" if said else "none")

    return read


_LINE = re.compile(r"ANSWER:\s*+(.*)", re.IGNORECASE)


def after_answer(reply: str) -> str:
    """What stands on the last "ANSWER:" line, else the whole reply."""
    found = _LINE.findall(reply)
    return found[-1].strip().strip("\"'") if found else reply.strip()


# LLaVA-Med ---------------------------------------------------------------------------------------


def _words(text: str) -> list[str]:
    return [word for word in text.lower().translate(_REMOVED).split() if word not in _ARTICLES]


def llava_recall(said: Sequence[str], gold: Sequence[str]) -> float:
    """The share of the gold's words that were said; a word counts as often as it was *said*."""
    counts = Counter(said)
    hits = sum(counts[word] for word in set(gold))
    missed = sum(word not in counts for word in gold)
    return hits / (hits + missed) if hits else 0.0


def plain_recall(said: Sequence[str], gold: Sequence[str]) -> float:
    """The share of the gold's words that were said."""
    return len(set(said) & set(gold)) / len(set(gold)) if gold else 0.0


def llava_open(recall: Callable[[Sequence[str], Sequence[str]], float]) -> Reader:
    """A reader that gives the recall of the best gold; right means all of its words."""

    def read(reply: str, example: Example) -> Mark:
        said = _words(reply)
        best = max((recall(said, _words(gold)) for gold in example.gold), default=0.0)
        return Mark(" ".join(said) or None, best == 1.0, "read" if said else "none", {"recall": best})

    return read


def llava_closed(reply: str, example: Example) -> Mark:
    """Right if the gold is a substring; wrong, but out of the count, if only the other word is."""
    text = " ".join(_words(reply))
    if "yes" not in text and "no" not in text:
        return Mark(None, False, "none", {"counted": 1.0})
    right = any(gold.lower() in text for gold in example.gold)
    return Mark(text, right, "read", {"counted": float(right)})


def llava_closed_fixed(reply: str, example: Example) -> Mark:
    """Right if the gold's words all occur as words, and not both yes and no do; always in the count."""
    words = _words(reply)
    if {"yes", "no"} <= set(words):
        return NOTHING
    right = any(set(_words(gold)) <= set(words) for gold in example.gold)
    return Mark(" ".join(words) or None, right, "read" if words else "none", {"counted": 1.0})


def llava_figures(marks: Sequence[Mark], examples: Sequence[Example]) -> dict[str, float]:
    """Closed accuracy of what is counted and open recall; `score` is the mean of both kinds' values."""
    pairs = list(zip(marks, examples, strict=True))
    shut = [
        float(mark.correct)
        for mark, example in pairs
        if example.kind != "open" and mark.parts.get("counted", 1.0)
    ]
    free = [mark.parts["recall"] for mark, example in pairs if example.kind == "open"]
    # The peer prints 0 when nothing is left to count.
    found = {"score": mean(shut + free or [0.0])}
    if len(free) < len(pairs):
        found["closed_accuracy"] = mean(shut or [0.0])
    return found | ({"open_recall": mean(free)} if free else {})


# MedGemma, VQA-Med 2019 --------------------------------------------------------------------------


def token_f1(reply: str, example: Example) -> Mark:
    """F1 of the words of the reply and of the best gold; right means 1."""
    said = reply.lower().translate(_REMOVED).split()
    scores = [_f1(said, gold.lower().translate(_REMOVED).split()) for gold in example.gold]
    best = max(scores, default=0.0)
    return Mark(" ".join(said) or None, best == 1.0, "read" if said else "none", {"f1": best})


def _f1(said: list[str], gold: list[str]) -> float:
    common = (Counter(said) & Counter(gold)).total()
    return 2 * common / (len(said) + len(gold)) if common else 0.0


def mean_f1(marks: Sequence[Mark], examples: Sequence[Example]) -> dict[str, float]:
    """The mean token F1, and the share of exact answers."""
    return {
        "score": mean(mark.parts.get("f1", 0.0) for mark in marks),
        "exact_match": mean(mark.correct for mark in marks),
    }


def vqa_med_2019(reply: str, example: Example) -> Mark:
    """Equality with one of the `#` alternatives, its brackets' content present or absent."""
    said = _vqa_med_spelling(reply)
    right = any(said == accepted for gold in example.gold for accepted in _alternatives(gold))
    return Mark(said or None, right, "read" if said else "none")


def _vqa_med_spelling(text: str) -> str:
    return " ".join(text.lower().translate(_REMOVED).split())


def _alternatives(gold: str) -> Iterator[str]:
    for alternative in gold.split("#"):
        yield _vqa_med_spelling(alternative)
        yield _vqa_med_spelling(_without_asides(alternative))


def short_answers(reader: Reader) -> dict[Kind, Reader]:
    """One reader for yes/no, closed and open questions."""
    return {"yesno": reader, "closed": reader, "open": reader}


_LLAVA = (
    "github microsoft/LLaVA-Med, llava/eval/run_eval.py (ad758b6), read 2026-11; its word list is simplified"
)

PROFILES = (
    Profile(
        "llava-med",
        "LLaVA-Med",
        "closed: the gold is a substring, in a reply that holds 'yes' or 'no'; open: recall of its words",
        _LLAVA,
        {"yesno": llava_closed, "closed": llava_closed, "open": llava_open(llava_recall)},
        llava_figures,
        "a wrong yes or no leaves the count, so that it costs nothing; a repeated word raises the recall; "
        "a long reply pays",
    ),
    Profile(
        "llava-med-fixed",
        "LLaVA-Med",
        "closed: the gold as whole words, every question counted; open: recall of the gold's words",
        _LLAVA,
        {"yesno": llava_closed_fixed, "closed": llava_closed_fixed, "open": llava_open(plain_recall)},
        llava_figures,
        "a long reply pays",
    ),
    Profile(
        "medgemma",
        "MedGemma report",
        "token F1 of the whole reply, lower-cased and without punctuation",
        "MedGemma technical report, by description",
        short_answers(token_f1),
        mean_f1,
    ),
    Profile(
        "vqa-med-2019",
        "VQA-Med 2019",
        "equality without case and punctuation with a '#' alternative, bracketed parts optional",
        "ImageCLEF VQA-Med 2019, by description",
        short_answers(vqa_med_2019),
    ),
    Profile(
        "slake",
        "SLAKE / Med-VQA preprocessing",
        "equality without case, punctuation and articles, number words as digits, 'x ray' as one word",
        "as described in github modelscope/evalscope, benchmarks/slake/utils.py (76467d2), read 2026-11",
        short_answers(equal(slake_spelling)),
        flaw="the original classifies among known answers; no yes/no synonyms",
    ),
)
