"""Which options a stretch of prose names, by letter or by text, without denying or doubting them."""

import re
from collections.abc import Iterable

from medbench.verify.letters import letter_at, own_text_end
from medbench.verify.page import Choices, Found, Page
from medbench.verify.stance import called_wrong, denied, unsure
from medbench.verify.text import plain

# Each alternative begins with a literal, which lets the search skip quickly.
_NAMED = re.compile(
    r"[(\[](?P<a>[A-Z])[)\]]|(?:ption|hoice|nswer|pción|pção|lternativa|etra|pzione|ntwort|ариант)\s{1,2}[(*\"']{0,3}(?P<b>[A-Z])(?![\w'+-])|\*\*\(?(?P<c>[A-Z])[.):*]"
)


def names(text: str) -> list[tuple[int, int, int]]:
    """Start, end and place of the letter, wherever an option is named by its letter."""
    found = []
    for match in _NAMED.finditer(text):
        if match.lastgroup == "a" and _CLASSIFIED.search(text, max(0, match.start() - 12), match.start()):
            continue
        if match.lastgroup == "b" or not text[match.start() - 1 : match.start()].isalnum():
            begin = match.start() - (match.lastgroup == "b" and match.start() > 0)  # "option", not "ption"
            found.append((begin, match.end(), match.start(match.lastgroup or 0)))
    return found


_CLASSIFIED = re.compile(
    r"\b(?:stanford|type|class|grade|stage|group|hepatitis|vitamin|factor|protein|pugh|duke|weber|figure|"
    r"panel) $",
    re.I,
)
OPTION_LINE = re.compile(
    r"(?m)^[ \t*#>|✅❌✓✔✗✘☑☒-]{0,8}(?:\d{1,2}\.\s)?(?:[Oo]ption |选项)?"
    r"[(*]{0,3}([A-Z])[)*]{0,3}[.:：)、．项 ].*$"
)
NUMBER_LABEL = re.compile(r"\W{0,6}(?:[Oo]ption\s?)?\d{1,2}[.):](?!\d)")


def single(letters: set[str]) -> Found | None:
    """The one letter of a set; "" stands for something that is no single option."""
    return Found(next(iter(letters))) if len(letters) == 1 and "" not in letters else None


_COMPLEMENT = re.compile(
    r"[)\]*_\"'.]{0,4}(?:\s?\([^()\n]{0,80}\)[*_]{0,2})?\s*(?:$|[.,;:!?\n—–-]|"
    r"\b(?:because|since|as|which|due|based|being|for|in|and|or|over|rather|given|with|at|from|by|to|here|"
    r"is (?:correct|right|the|most|best|therefore|thus)|"
    r"(?:is|seems|fits) (?:\w+ )?(?:more \w+|better|preferred|preferable|superior|"
    r"favou?red)(?: \w+){0,3}? (?:than|over|to)|would be (?:the|most|best|correct)|"
    r"(?:best |most |better )?(?:fits|matches|describes|explains)|seems? (?:most|best|the|to be the))\b)"
)


def discussed(text: str, at: int, choices: Choices) -> bool:
    """Whether the option named at `at` is the subject of a sentence about it: "Option D delays treatment"."""
    return _COMPLEMENT.match(text, own_text_end(text, at, choices)) is None


# What may stand between a denied letter and one that is not denied with it.
_ANOTHER = re.compile(
    r"[.;:!?\n]|\b(?:but|while|whereas|so|thus|therefore|hence|rather|instead|is|are|was|which|leav)"
)


def letters_named(text: str, choices: Choices) -> set[str]:
    """The options that `text` names by letter and does not deny; "" for a list or hedge."""
    letters = set()
    refused = -1  # where the last denied letter ends
    for start, end, at in names(text) if not choices.lettered else ():
        doubted = denied(text, start, end) or called_wrong(text, end) or unsure(text, start, end)
        doubted = doubted or (refused >= 0 and not _ANOTHER.search(text, refused, start))
        refused = end if doubted else -1
        if text[at] in choices.labels and not doubted and not discussed(text, at, choices):
            found = letter_at(text, at, choices)
            letters.add(text[at] if found and found.answer else "")
    return letters


_BARE = re.compile(r"(?<![\w'(\[-])([A-Z])(?![\w'’-])(?! [a-z])")


def other_label(page: Page, answer: str | None) -> bool:
    """Whether the letter of another option stands anywhere by itself."""
    return any(match[1] != answer and match[1] in page.choices.labels for match in _BARE.finditer(page.text))


# --- by text ---

WORD = re.compile(r"[a-z]{4}|x.?ray|\d[\d.,/%]{2}|\d.{1,12}\d|[\u4e00-\u9fff]{2}", re.I)
SHORT = re.compile(r"[a-z]{3}|\d\d|[\u4e00-\u9fff]{2}", re.I)
_ABOUT_OTHERS = re.compile(r"(?:both|all|none|neither|either|any)\b(?: of| the|$)")
_HYPHEN = re.compile(r"(?<=[a-z])-(?=[a-z])")
_AND_MORE = (
    r"s?(?: (?:and|or|as well as|plus|with|\+|&) |, (?:and |or )?)"
    r"(?!it\b|its\b|this|that|these|the\b|an?\b|is\b|are\b|has\b|so\b|therefore|thus|not\b|can\b|may\b|should|"
    r"will|we\b|i\b|there|which|who|as\b|because|since|but\b|due|with|given|in\b|however|although|especially|"
    r"particularly|followed|while|where|leading|causing|making|rather|also|others?\b|by\b|for\b|when|if\b|then\b)[a-z]"
)


def texts_named(text: str, page: Page, telling: re.Pattern[str] = WORD) -> set[str]:
    """The options whose text occurs in `text` undenied; "" for one that tells nothing by its text."""
    if any(_ABOUT_OTHERS.match(text) for text in page.choices.texts):
        return set()
    low, text_as_is = text.lower(), text
    text = _HYPHEN.sub(" ", plain(text.replace(";", ". ").replace("n't", " not")))
    letters: set[str] = set()
    taken: dict[tuple[int, int], str] = {}
    texts = {_HYPHEN.sub(" ", text): letter for text, letter in page.choices.texts.items()}
    asked = _HYPHEN.sub(" ", plain(page.question))
    if all(map(asked.__contains__, texts)):
        asked = ""  # "is it on the left or right?"
    for option in sorted(texts, key=len, reverse=True):
        taken |= dict.fromkeys(_occurrences(text, option, taken), option)
    for option in _standing(text, taken):
        alone = (telling.search(option) or _acronym(texts[option], text_as_is, page)) and option not in asked
        letters.add(texts[option] if alone and not _joined(low, option) else "")
    return letters


_LISTED = re.compile(r"[\s,]{0,3}(?:(?:or|nor|and) )?(?:an? |the )?")


def _standing(text: str, places: dict[tuple[int, int], str]) -> set[str]:
    """The options by which `text` stands in at least one of their places; a denial holds for a whole list."""
    standing = set()
    refused = -1  # where the last option ends that is doubted
    for start, end in sorted(places):
        doubted = denied(text, start, end) or called_wrong(text, end) or unsure(text, start, end)
        if not doubted and not (refused >= 0 and _LISTED.fullmatch(text, refused, start)):
            standing.add(places[start, end])
        else:
            refused = end
    return standing


_ACRONYM = re.compile(r"[A-Z][A-Z0-9-]{1,5}")


def _acronym(letter: str, text: str, page: Page) -> bool:
    """Whether the option is an acronym, and `text` has it in capitals."""
    option = page.choices.options[page.choices.labels.index(letter)].strip() if letter else ""
    return bool(_ACRONYM.fullmatch(option)) and re.search(rf"(?<![\w-]){option}(?![\w-])", text) is not None


def _joined(low: str, option: str) -> bool:
    """Whether an option's text goes on as a list: "homes, schools and", "aspirin and ibuprofen"."""
    words = r"\W{1,3}".join(map(re.escape, option.split()))
    return re.search(rf"\b{words}{_AND_MORE}", low) is not None


def _occurrences(text: str, option: str, taken: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    places: list[tuple[int, int]] = []
    at = text.find(option)
    while at >= 0 and len(places) < 20:
        end = at + len(option)
        if _whole(text, at, end) and not any(start < end and at < stop for start, stop in taken):
            places.append((at, end))
        at = text.find(option, end)
    return places


_NUMBERED = re.compile(r"\d,? (?:and )?$")
_NUMBERS = re.compile(r",? (?:and )?\d")


def _whole(text: str, at: int, end: int) -> bool:
    """Whether `text[at:end]` is whole words and numbers, not a part of one: not 10 in 10.5, 2-10 or 10^4."""
    before, after = text[max(0, at - 2) : at], text[end : end + 2]
    if text[at].isdigit() and (
        _NUMBERED.search(text[max(0, at - 8) : at]) or _NUMBERS.match(text[end : end + 8])
    ):
        return False  # a part of a longer list of numbers
    if text[at].isdigit() and before[-1:] in (*"0123456789.,-/^",):
        return False
    if text[end - 1].isdigit() and (
        after[:1] in ("^", "/", "%") or (after[:1] in ".,-" and after[1:].isdigit())
    ):
        return False
    inner, outer = text[at], text[end - 1]
    return not (
        (before[-1:].isalnum() and before[-1:].isascii() and inner.isascii())
        or (after[:1].isalnum() and after[:1].isascii() and outer.isascii())
    )
