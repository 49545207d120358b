"""When two questions are the same, and which training questions leak a test question."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

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
    """Equal for the same question on the same text with the same options in any order."""
    options = sorted(words(option) for option in example.options)
    return words(example.question), example.context, tuple(options)


def gold_words(example: Example) -> frozenset[tuple[str, ...]]:
    """The accepted answers as words, which no option order changes."""
    if example.kind == "mcq":
        return frozenset(words(example.options[LETTERS.index(letter)]) for letter in example.gold)
    return frozenset(words(gold) for gold in example.gold)


class Leaks:
    """An index of test questions that finds the training questions which leak them.

    A question leaks a test question when their words are equal, or when at least half of its 8-word
    sequences occur in that one test question. Stems under 16 words are often generic ("Which of the
    following is not used in …"), so at least half of the options (of the fewer) must agree as well.
    """

    GRAM = 8
    GENERIC = 16

    def __init__(self, tests: Iterable[Example]) -> None:
        self.tests: list[tuple[str, frozenset[object]]] = []
        self.stems: dict[tuple[str, ...], list[int]] = {}
        self.grams: dict[tuple[str, ...], list[int]] = {}
        for number, test in enumerate(tests):
            stem = words(test.question)
            self.tests.append((test.id, frozenset(words(option) for option in test.options)))
            self.stems.setdefault(stem, []).append(number)
            for gram in set(self.sequences(stem)):
                self.grams.setdefault(gram, []).append(number)

    def sequences(self, stem: tuple[str, ...]) -> list[tuple[str, ...]]:
        """The runs of 8 words in a stem."""
        return [stem[i : i + self.GRAM] for i in range(len(stem) - self.GRAM + 1)]

    def find(self, example: Example) -> str | None:
        """The id of the test question that `example` leaks most of, None if there is none."""
        stem = words(example.question)
        options = frozenset(words(option) for option in example.options)
        close = [*self.stems.get(stem, ()), *self.nearest(stem)]
        return next((self.tests[i][0] for i in close if self.agree(stem, options, self.tests[i][1])), None)

    def nearest(self, stem: tuple[str, ...]) -> list[int]:
        """The tests that hold at least half of a stem's 8-word sequences, most first."""
        grams = self.sequences(stem)
        found = [self.grams[gram] for gram in grams if gram in self.grams]
        if not found or 2 * len(found) < len(grams):
            return []
        counts = Counter(number for numbers in found for number in numbers)
        return sorted((i for i in counts if 2 * counts[i] >= len(grams)), key=lambda i: (-counts[i], i))

    def agree(self, stem: tuple[str, ...], options: frozenset[object], theirs: frozenset[object]) -> bool:
        """Whether the options bear out what the stems suggest; without options, 8 words do."""
        if len(stem) >= self.GENERIC:
            return True
        if not options or not theirs:
            return len(stem) >= self.GRAM
        return 2 * len(options & theirs) >= min(len(options), len(theirs))
