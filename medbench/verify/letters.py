"""Multiple choice: which option a short piece of text names, by letter or by text.

Nothing here looks for the nearest option.
"""

import re

from medbench.schema import LETTERS
from medbench.verify.page import AMBIGUOUS, OUTSIDE, Choices, Found
from medbench.verify.text import plain, without_asides
from medbench.verify.wording import wording

# Words that may stand between "the answer is" and the letter, and right after the letter.
LEAD = re.compile(
    r"[\s*_`\"'$({\[:=>-]{0,12}"
    r"(?:(?:most likely|likely|probably|clearly|therefore|thus|indeed|definitely|simply|either|both|"
    r"option|choice|answer|letter|is|be)s?\b[\s*_`\"'$({\[:]{0,8}){0,4}",
    re.I,
)
_NEXT_WORD = re.compile(r"[ \t]+([A-Za-z0-9']+)")
_GOES_ON = frozenset((
    "because", "since", "as", "which", "is", "due", "and", "or", "with", "for", "based", "given", "if",
    "but", "where", "when", "on", "in", "by", "while", "however", "so", "rather", "not", "instead",
    "though", "although", "from", "per", "this", "that", "the", "would", "be",
))  # fmt: skip
_SPECIES = re.compile(
    r"\. ?(?:coli|diff|difficile|pylori|aureus|albicans|perfringens|botulinum|tetani|trachomatis|pneumoniae|"
    r"influenzae|burgdorferi|falciparum|vivax|histolytica|gondii|neoformans|jejuni|faecalis|cereus|anthracis|"
    r"vaginalis|lamblia|meningitidis|gonorrhoeae|pyogenes|agalactiae|typhi|henselae|canis|elegans|bovis|"
    r"multilocularis|granulosus|monocytogenes|pneumophila|pallidum|jirovecii|aeruginosa|epidermidis)\b"
)
_CHINESE_TERM = re.compile(r"[超型族类级期组肝线]|细胞|淋巴|受体")  # "B超", "B型"
_CLOSE = re.compile(r"[)\]}*_`\"'$]*")
_MORE = re.compile(
    r"[)\]}*_`\"'$.]{0,6}\s{0,3}"
    r"(?P<by>[,;(]?\s?\b(?:and/or|or|and|through|as well as)\b|[,/;&+|>]|[–—-]\s?or\b|和|及|与|或|还是|"
    r"(?=[(\[][A-Z][)\]]))\s{0,3}"
    r"(?:(?:also|then|possibly|maybe|perhaps|option|choice|both|either)\s{1,3}|选项\s?){0,2}[*_(\[\"'{$]{0,5}"
    r"(?P<letter>[A-Z])(?![A-Za-z0-9_'+]|-\w)(?P<word>[ \t]+[a-z']+)?"
)


# After a letter that begins a clause of its own: "C, A and B are anticoagulants".
_CLAUSE = re.compile(r"(?:,? (?:and |or )?\(?[A-Z]\)?){0,6} (?:is|are|was|were|would|both|all)\b")


_BOTH = re.compile(r"\)? (?:are|would be) (?:both |all )?(?:correct|right|true|possible|valid|acceptable)\b")
_SAID_WRONG = re.compile(
    r"[)*\"']{0,3}(?:,| [-–—]) (?:wrong|incorrect|no\b)"
    r"|[)*\"']{0,3} (?:is|was|seems|would be|can be) (?:\w+ ){0,2}?"
    r"(?:wrong|incorrect|not|false|ruled|excluded|unlikely)\b"
)


def stands_alone(text: str, at: int) -> bool:
    """Whether the letter at `at` is a label: not an article, a pronoun or the start of a term."""
    rest = text[at + 1 : at + 60]
    if not rest or rest[0] in "\n\r":
        return True
    if (
        _CHINESE_TERM.match(rest)
        or (rest[0].isalnum() and rest[0] < "\u2e80")
        or rest[0] in "+°^"
        or re.match(r"['-]\w", rest)
        or _SPECIES.match(rest)
    ):
        return False
    closed = _CLOSE.match(rest)
    after = _NEXT_WORD.match(rest, closed.end() if closed else 0)
    if after is None or (closed and closed.group()):
        return True
    return text[at].isupper() and after.group(1).lower() in _GOES_ON


def own_text_end(text: str, at: int, choices: Choices) -> int:
    """Where the option's own text ends if it follows its letter at `at`, else just after the letter."""
    if text[at + 1 : at + 3].strip(" .):]*_-–—\t\"'\n,") == "" and len(text) <= at + 3:
        return at + 1
    option = choices.options[choices.labels.index(text[at].upper())].strip().rstrip(".")
    start = at + 1
    while start < len(text) and start - at < 12 and text[start] in " .):]*_-–—\t\"'\n,":
        start += 1
    stop = start + len(option)
    if option and text[start:stop].casefold() == option.casefold() and not text[stop : stop + 1].isalnum():
        return stop
    if option[:1].isdigit() and text[start : start + 1] == option[0]:  # "8cm" is "8 cm"
        spaced = re.compile(r"\s?".join(map(re.escape, "".join(option.split())[:40])), re.I).match(
            text, start
        )
        if spaced and not text[spaced.end() : spaced.end() + 1].isalnum():
            return spaced.end()
    return at + 1


def written_out(line: str, at: int, choices: Choices) -> Found | None:
    """The option whose letter stands at `at` when `line` ends with it or with its own text."""
    if line[at] not in choices.labels or line[own_text_end(line, at, choices) :].strip("*_`\"'$ ).:]"):
        return None
    return Found(line[at])


_OR_IN_ASIDE = re.compile(r"(?:\(|\bor )(?:option )?([A-Z])(?= if\b|\W*$)")
_ASIDE = re.compile(r"\s?\((?![A-Z]\))[^()\n]{1,40}\)")


def more_than_one(text: str, end: int, letter: str, labels: str) -> bool:
    """Whether the letter that ends at `end` goes on as a list or a hedge: "B or C", "A, B and D"."""
    aside = _ASIDE.match(text, end)
    hedge = _OR_IN_ASIDE.search(aside.group()) if aside else None
    if hedge and hedge[1] in labels and hedge[1] != letter:
        return True
    end = aside.end() if aside else end
    more = _MORE.match(text[end : end + 80])
    if more is None or more["letter"] == letter or more["letter"] not in labels:
        return False
    word = (more["word"] or "").strip()
    after_list = end + more.end("letter")
    if _CLAUSE.match(text, after_list):
        return "or" in more["by"] or bool(_BOTH.match(text, after_list))
    return not word or more["letter"] not in "AI" or word in _GOES_ON


_LABELLED = re.compile(r"[\s;,.|*)\]-]*[(\[*]*([A-Z])[*]*[.):\]]")


def listing(text: str, at: int, choices: Choices) -> bool:
    """Whether the option at `at` is the first of a list of options rather than a choice among them."""
    seen, end = {text[at]}, own_text_end(text, at, choices)
    while end > at + 1 and (label := _LABELLED.match(text, end)) and label[1] in choices.labels:
        seen.add(label[1])
        at = label.start(1)
        end = own_text_end(text, at, choices)
    return len(seen) >= min(3, len(choices.labels))


def letter_at(text: str, at: int, choices: Choices) -> Found | None:
    """The option whose letter stands at `at`, if it is a label there and nothing follows to undo it."""
    letter = text[at].upper()
    if letter not in choices.labels:
        if named := choices.texts.get(letter.lower()):
            return Found(named)  # blood group O
        return OUTSIDE if text[at].isupper() and stands_alone(text, at) else None
    end = own_text_end(text, at, choices)
    if end == at + 1 and not stands_alone(text, at):
        return None
    if text[end : end + 3].lstrip(" )*").startswith("?") or _SAID_WRONG.match(text, end):
        return None
    if listing(text, at, choices):
        return None
    return AMBIGUOUS if more_than_one(text, end, letter, choices.labels) else Found(letter)


_CUT = re.compile(
    r"[.;,](?=\s|$)| \(|\*\*|\)|: | - | – | — |,? (?:because|since|as|which|due|and|or|is|in|for)\b"
)
_OR = re.compile(r"(?:,? ?(?:or|and)|,|/)\s+(?:the )?", re.I)


def by_text(line: str, choices: Choices) -> Found | None:
    """The option whose text `line` is, or begins with up to a natural break."""
    line = line[:500]
    cuts = [len(line), *(cut.start() for cut in _CUT.finditer(line))][:16]
    for cut in sorted(set(cuts), reverse=True):
        key = plain(line[:cut])
        if key in choices.texts:
            return _with_rest(choices.texts[key], line[cut:], choices)
        if key in choices.amounts:
            return Found(choices.amounts[key])
    if label := _NUMBERED.match(line):
        rest = line[label.end() :].strip(" *_.:)]\"'")
        named = by_text(rest, choices) if not _NEXT_NUMBER.search(rest) else None
        return named or (placed(label, choices) if not rest or label["option"] else None)
    worded = None if _LABEL.match(line) else choices.worded.get(wording(line))
    return Found(worded) if worded else None


# A label that is none of the letters, before an option's text or alone: "Option 2: Warfarin", "β. Warfarin".
_NUMBERED = re.compile(
    r"(?P<option>(?:option|choice)\s?)?(?:(?P<place>\d{1,2})|[α-ω]|[ivx]{2,4})(?:\s?[.):]+(?!\d)|[*_]*$)\s*",
    re.I,
)
_NEXT_NUMBER = re.compile(r"[\s(](?:\d{1,2}|[α-ω]|[ivx]{2,4})[.):]\s")


def placed(label: re.Match[str], choices: Choices) -> Found | None:
    """The option whose number in the list is given: "option 2" is B, unless an option's text is a number."""
    if not label["option"] or not label["place"] or any(text.isdigit() for text in choices.texts):
        return None
    place = int(label["place"])
    return Found(choices.labels[place - 1]) if 0 < place <= len(choices.labels) else OUTSIDE


_CLAUSE_WORD = re.compile(r"(?:it|this|that|these|not|is|should|we|the|therefore|so|as|because)\b")


def _with_rest(letter: str, rest: str, choices: Choices) -> Found:
    """`letter`, unless `rest` goes on to name another option or something else besides."""
    joined = _OR.match(rest)
    if not letter:
        return AMBIGUOUS
    if joined:
        other = plain(rest[joined.end() :])
        if any(letter != found and other.startswith(text) for text, found in choices.texts.items()):
            return AMBIGUOUS
        if not joined.group().startswith(",") and not _CLAUSE_WORD.match(other):
            return OUTSIDE
    return Found(letter)


def _word_goes_on(text: str, at: int) -> bool:
    """Whether the letter at `at` begins a word; a Chinese character after it does not make one."""
    following = text[at + 1 : at + 2]
    return following.isalnum() and following < "\u2e80"


def after(text: str, choices: Choices) -> Found | None:
    """The option that `text` begins with, as after "the answer is"."""
    lead = LEAD.match(text)
    at = lead.end() if lead else 0
    if text[at : at + 1].isdigit() and text[:at].lower().endswith(("option ", "choice ")):
        at -= len("option ")
    letter = text[at : at + 1]
    line = text[at:].split("\n", 1)[0]
    if not (letter.isascii() and letter.isalpha()) or _NUMBERED.match(line) or _word_goes_on(text, at):
        return by_text(line, choices)
    if len(line) > 3 and letter.upper() in choices.labels and own_text_end(text, at, choices) == at + 1:
        named = by_text(line, choices)
        if named and named.answer != letter:
            return named
    return letter_at(text, at, choices)


_RUN = re.compile(r"[A-Z]{2,26}")
_AROUND = frozenset((
    "the", "correct", "final", "best", "option", "options", "choice", "choices", "answer", "answers",
    "letter", "is", "are", "and", "or", "through", "to", "both", "either",
))  # fmt: skip
_LABEL = re.compile(
    r"\s*(?:(?:[Oo]ption|[Cc]hoice) )?[(\[]?\s*([A-Za-z])\s*(?:[.):=\]]|\s[-–—]\s|\s(?=[A-Za-z]))"
)
_AFTER_TEXT = re.compile(r"\(\s*(?:option |choice )?([A-Z])\s*\)\W*$")


def inside(text: str, choices: Choices) -> Found | None:
    """The option that `text` as a whole names."""
    if len(text) == 1 and text.isalpha():
        return only_letters(text, choices)
    key = plain(text)
    if key in choices.texts and not (len(key) == 1 and key.isalpha()):
        return Found(choices.texts[key]) if choices.texts[key] else AMBIGUOUS
    only = only_letters(text, choices)
    if only is not None:
        return only
    if label := (_LABEL.match(text) or _AFTER_TEXT.search(text)):
        return letter_at(text, label.start(1), choices) or OUTSIDE
    key = plain(without_asides(text))
    if key in choices.texts:
        return Found(choices.texts[key]) if choices.texts[key] else AMBIGUOUS
    if key in choices.amounts:
        return Found(choices.amounts[key])
    several = {
        letter
        for part in re.split(r",|;|/|\bor\b|\band\b", text)
        if (letter := choices.texts.get(plain(part)))
    }
    return AMBIGUOUS if len(several) > 1 else OUTSIDE


def exactly(text: str, choices: Choices) -> Found | None:
    """The option that `text` is and nothing else: letter, text, both, or one with the other in brackets."""
    key = plain(text)
    if key in choices.texts and not (len(key) == 1 and key.isalpha()):
        return Found(choices.texts[key]) if choices.texts[key] else AMBIGUOUS
    if label := _NUMBERED.match(text):
        named = plain(text[label.end() :])
        if not named or choices.texts.get(named):
            return Found(choices.texts[named]) if named else placed(label, choices)
    bare = without_asides(text).strip()
    if bare and (only := only_letters(bare, choices)):
        return only
    label = _AFTER_TEXT.search(text)
    if label and label[1] in choices.labels and choices.texts.get(plain(text[: label.start()])):
        return Found(label[1])
    return None


_TICKED = re.compile("[✓✔✅✗✘❌☑☒]|\\[[ x]\\]")
_REJECTS = re.compile(
    r"[(*]{0,3}([A-Z])[)*.]{0,3},? (?:not|rather than|over|instead of) [(*]{0,3}[A-Z][)*.]{0,3}"
)


def only_letters(text: str, choices: Choices) -> Found | None:
    """The answer when `text` is nothing but a letter or a list of letters."""
    if len(text) > 160 or "?" in text or _TICKED.search(text):
        return None
    if len(text) < 14 and (label := _NUMBERED.fullmatch(text)) and (found := placed(label, choices)):
        return found
    if rejects := _REJECTS.fullmatch(text):
        return Found(rejects[1]) if rejects[1] in choices.labels else OUTSIDE
    if (label := _LABEL.match(text)) and (own := written_out(text, label.start(1), choices)):
        return own
    if _RUN.fullmatch(text):
        return AMBIGUOUS if set(text) <= set(choices.labels) and len(set(text)) == len(text) else None
    tokens = [token for token in re.findall(r"\w+", text) if token.lower() not in _AROUND]
    if not tokens or any(len(token) > 1 or token.upper() not in LETTERS for token in tokens):
        return None
    letters = {token.upper() for token in tokens}
    if len(letters) > 1:
        return AMBIGUOUS
    return Found(letters.pop()) if letters <= set(choices.labels) else OUTSIDE
