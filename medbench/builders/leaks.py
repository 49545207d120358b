"""When two questions are the same, and which training questions leak a test question."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from medbench.schema import LETTERS, Example

SIGNS = str.maketrans({"−": "-", "–": "-", "—": "-", "‐": "-", "≤": "<=", "≥": ">="})
ACCENT = re.compile("([a-z])[\u0300-\u036f]+")
IDEOGRAPH = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Written without blanks, so each counts as a word."""
MARK = "\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0eff\u1000-\u109f"
"""Scripts some of whose vowels are marks, which a regular expression does not take for letters."""
TOKEN = re.compile(
    rf"[{IDEOGRAPH}]"  # one character of Chinese or Japanese
    rf"|[^\W_{IDEOGRAPH}](?:[^\W_{IDEOGRAPH}]|[{MARK}])*"  # a word or a number
    r"|[<>=]+|[+↑↓]"  # a comparison, a charge, a rise or fall
    r"|(?<!\w)-(?=\d|ve\b)"  # a minus or "-ve", not a hyphen
)
CHARGE = re.compile(TOKEN.pattern + r"|(?<=\w)-(?!\w)")
SHORT = 4
"""Words up to which a dash after a word is taken for a charge ("Rh-"); a stem may end in a dash."""


def words(text: str) -> tuple[str, ...]:
    """The words and telling signs of a text; case, Latin accents and other punctuation are removed.

    >>> words("Café-au-lait: RIGHT?"), words("IFN-γ"), words("CT图像")
    (('cafe', 'au', 'lait', 'right'), ('ifn', 'γ'), ('ct', '图', '像'))
    >>> words("Rh+"), words("Rh-"), words("< 5"), words("≥5"), words("True about femur in adults is-")[-1]
    (('rh', '+'), ('rh', '-'), ('<', '5'), ('>=', '5'), 'is')
    """
    plain = folded(text)
    found = TOKEN.findall(plain)
    if len(found) <= SHORT and "-" in plain:
        found = CHARGE.findall(plain)
    return tuple(found or plain.split())


def folded(text: str) -> str:
    """Text in lower case, in compatible characters, Latin letters without accents."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text).translate(SIGNS).casefold()
    return unicodedata.normalize("NFC", ACCENT.sub(r"\1", apart))


def item_key(example: Example) -> tuple[object, ...]:
    """Equal for the same question on the same text and images with the same options in any order."""
    options = sorted(words(option) for option in example.options)
    return words(example.question), example.context, example.images, tuple(options)


def gold_words(example: Example) -> frozenset[tuple[str, ...]]:
    """The accepted answers as words, which no option order changes."""
    if example.kind == "mcq":
        return frozenset(words(example.options[LETTERS.index(letter)]) for letter in example.gold)
    return frozenset(words(gold) for gold in example.gold)


@dataclass(frozen=True, slots=True)
class Leak:
    """A test question that a training question gives away."""

    test: str
    how: Literal["equal", "near", "contains"]
    score: float
    """Share of the words (`near`) or of the 8-word sequences of the shorter stem (`contains`) that agree."""


Stem = tuple[str, ...]
Found = tuple[Literal["equal", "near", "contains"], float, int]
"""How a stem was found, its score, and its number in the index."""

WRITTEN = 6
"""Words that something written without blanks may be made of ("5-hydroxy-tryptamine")."""
YES_NO = frozenset((word,) for word in ("yes", "no", "maybe", "true", "false"))
"""Options that say nothing of a question."""


class Leaks:
    """An index of test questions that finds the training questions which leak them.

    A question leaks a test question when their words are `equal`; when they are `near`: one word is changed,
    put in, left out or moved; or when one `contains` six tenths of the other's 8-word sequences, not all of
    them common phrases.

    Stems under 16 words are often generic ("Which of the following is not used in …"), so at least half of
    the options (of the fewer) must agree as well, all of them where a word differs under 8 words. Without
    options, or with yes and no, a stem of 8 words is enough. Below 16 words a question about an image is
    told by its image alone.
    """

    GRAM = 8
    GENERIC = 16
    LONG = 40
    """From so many words on, one that is changed ("beta-blocker's") leaves that part of the sequences."""
    PART = 0.6
    """Share of the 8-word sequences of the shorter stem that makes a leak."""
    COMMON = 8
    """In more different stems than that, 8 words are a phrase."""

    def __init__(self, tests: Iterable[Example]) -> None:
        asked: dict[Stem, list[Example]] = {}
        for test in tests:
            stem = words(test.question)
            if len(stem) >= self.GENERIC or not of_image(test):
                asked.setdefault(stem, []).append(test)
        self.stems = list(asked)
        self.tests = list(asked.values())
        self.numbers = {stem: number for number, stem in enumerate(asked)}
        self.holed: dict[int, list[int]] = {}
        self.grams: dict[int, list[int]] = {}
        self.sizes: list[int] = []
        """How many different sequences each stem has."""
        for number, stem in enumerate(asked):
            for hole in holes(stem, self.tests[number][0].question) if len(stem) < self.LONG else ():
                self.holed.setdefault(hole, []).append(number)
            grams = sequences(stem, self.GRAM) if len(stem) >= self.GENERIC else set()
            self.sizes.append(len(grams))
            for gram in grams:
                self.grams.setdefault(gram, []).append(number)

    def find(self, example: Example) -> str | None:
        """The id of the test question that `example` leaks most of, None if there is none."""
        return next((leak.test for leak in self.hits(example)), None)

    def hits(self, example: Example) -> Iterator[Leak]:
        """The test questions that `example` leaks, what it gives away most of first."""
        stem = words(example.question)
        if not stem:
            return
        for how, score, number in self.alike(stem, example.question):
            sizes = len(stem), len(self.stems[number])
            for test in self.tests[number]:
                telling = min(sizes) >= self.GENERIC
                if telling or self.agree(max(sizes), example, test, how == "equal"):
                    yield Leak(test.id, how, round(score, 4))

    def alike(self, stem: Stem, question: str) -> list[Found]:
        """The stems that are alike in words: equal, then near, then those of which most is contained."""
        found: dict[int, Found] = {}
        if (same := self.numbers.get(stem)) is not None:
            found[same] = ("equal", 1.0, same)
        for number in self.neighbours(stem, question):
            found.setdefault(number, ("near", 1 - 1 / max(len(stem), len(self.stems[number])), number))
        for number, share in self.overlaps(stem):
            found.setdefault(number, ("contains", share, number))
        order = {"equal": 0, "near": 1, "contains": 2}
        return sorted(found.values(), key=lambda one: (order[one[0]], -one[1], one[2]))

    def neighbours(self, stem: Stem, question: str) -> set[int]:
        """The shorter stems that are one word from a stem."""
        if len(stem) > self.LONG + SHORT:
            return set()
        return {number for hole in holes(stem, question) for number in self.holed.get(hole, ())}

    def overlaps(self, stem: Stem) -> list[tuple[int, float]]:
        """The stems that share enough 8-word sequences with a stem, and the share (of the shorter's)."""
        if len(stem) < self.GENERIC:
            return []
        own = sequences(stem, self.GRAM)
        shared: Counter[int] = Counter()
        telling: set[int] = set()
        for numbers in filter(None, map(self.grams.get, own)):
            shared.update(numbers)
            if len(numbers) <= self.COMMON:
                telling.update(numbers)
        shares = ((number, shared[number] / min(len(own), self.sizes[number])) for number in telling)
        return [(number, share) for number, share in shares if share >= self.PART]

    def agree(self, size: int, example: Example, test: Example, equal: bool) -> bool:
        """Whether the options of two questions bear out what short stems suggest."""
        options, theirs = option_words(example), option_words(test)
        common, fewer = len(options & theirs), min(len(options), len(theirs))
        if of_image(example) != of_image(test):
            return bool(options and theirs) and not options & theirs <= YES_NO and common == fewer
        if not options or not theirs or (not equal and min(options, theirs, key=len) <= YES_NO):
            return size >= self.GRAM
        return common == fewer if not equal and size < self.GRAM else 2 * common >= fewer


def of_image(example: Example) -> bool:
    """Whether a question is about an image, be it one that can't be shown."""
    return bool(example.images or example.fault)


def holes(stem: Stem, text: str) -> set[int]:
    """Hashes of a stem as it is and without each of its words: those of stems one word apart meet.

    What is written as one ("X-ray", "Crohn's") is left out part by part and as a whole.
    """
    found = {hash(stem), *(hash(stem[:i] + stem[i + 1 :]) for i in range(len(stem)))}
    start = 0
    for part in text.split():
        end = start + (1 if part.isascii() and part.isalnum() else len(TOKEN.findall(folded(part))))
        if 1 < end - start <= WRITTEN and end - start < len(stem):
            found.add(hash(stem[:start] + stem[end:]))
        start = end
    return found


def sequences(stem: Stem, size: int) -> set[int]:
    """Hashes of the runs of `size` words in a stem."""
    return {hash(stem[i : i + size]) for i in range(len(stem) - size + 1)}


def option_words(example: Example) -> frozenset[Stem]:
    """The options of a question as words, in no order."""
    return frozenset(words(option) for option in example.options)


def within(part: Sequence[str], whole: Sequence[str]) -> bool:
    """Whether words stand in a text, in a row."""
    n = len(part)
    return any(list(part) == list(whole[at : at + n]) for at in range(len(whole) - n + 1))
