"""Statements of the answer in words: "the answer is C", "option C is the best choice".

Anchor words are found first, from the end of the reply; only around them is anything else looked at.
"""

import re

from medbench.schema import LETTERS
from medbench.verify import foreign, letters, named, prose, restated, values
from medbench.verify.choose import span, tail
from medbench.verify.letters import exactly, letter_at
from medbench.verify.page import AMBIGUOUS, NOTHING, OUTSIDE, Found, Page
from medbench.verify.qualified import qualified
from medbench.verify.stance import HEARSAY, MUSED, SENTENCE, denied
from medbench.verify.text import backwards, line_before, plain

_LAST_LINE = re.compile(
    r"(?:^|\n)[ \t*_#>]{0,6}(?i:(?:so|thus|therefore|hence)?,? ?(?:the )?"
    r"(?:final |correct |best ){0,2}answer(?: is\b[*_ ]{0,3}:?|[*_ ]{0,3}:))[*_ ]{0,3}"
    r"[(\[]?[*_]{0,3}([A-Z])[)\]*_. ]{0,6}$"
)


def on_last_line(text: str, options: int) -> str | None:
    """The letter, among so many options, of a last line "Answer: C" in a reply without other forms.

    The common case, found without going through the rules; they would find the same.
    """
    match = _LAST_LINE.search(text, max(0, len(text) - 60))
    if match is None or match[1] not in LETTERS[:options]:
        return None
    forms = (
        "<" in text
        or "':" in text
        or ("\\" in text and "oxed" in text)
        or ("]" in text and ("nswer]" in text or "NSWER]" in text))
    )
    quoted = '"' in text and ('":' in text or '" :' in text or '="' in text)
    return None if forms or quoted else match[1]


_ANCHOR = re.compile(
    r"answer|ans\b|option|choice|choose|select|pick|go with|going with|opt for|settle on|conclude|say\b"
    r"|答案|选"
    r"|decision|verdict|guess|lean"
)

_LEAN = re.compile(
    r"(?:ing|s)?(?: (?:towards?|to))?(?= (?:option |choice )?[(*]{0,3}[a-z][)*]{0,3}(?:[.,;\s]|$))"
)
_NOUNS = ("answer", "ans", "option", "choice", "decision", "verdict", "guess")
_BECOMES = r"(?:is|are|would be|should be|must be|will be|has to be|remains|seems to be|appears to be)\b"
_FORWARD = re.compile(
    r"(?:_(?:idx|index|choice|letter|option|key))?s?(?![a-z0-9])(?:\s(?:choice|option|letter|key)\b)?"
    r"(?:\s?\((?:yes|no|maybe|[a-z])(?:\s?[,/]|\sor\b)[^()\n]{0,40}\))?"
    r"(?:\s(?:to|for|here|among|from|of|in|that|based|according|given|i)\b[^.:\n?]{0,80}?)?"
    rf"[*_\"'`)\]}}\s]{{0,6}}(?:\b{_BECOMES}\s?:?|\bis(?=n't)|:|\.\s(?=\(?[a-z]\)?(?:$|[\s.)]))|=|->|→|\s?[-–—]\s)"
)
_QUALITY = (
    r"(?:correct|best|right|final|appropriate|likely|accurate|suitable|preferred|chosen|selected|only|single|"
    r"my|our|true|fitting|reasonable|plausible|consistent|probable|optimal)"
)
_QUALIFIED = re.compile(rf"\b{_QUALITY} (?:answer )?$|\banswer $")
_I = re.compile(r"\b(?:i(?: would|'d| will|'ll|'m| am)?|we(?: would)?|let's) (?:therefore |thus )?$")
_I_DO = re.compile(r"(?: that)?(?: the answer is)?\b:?")
_BACKWARD = re.compile(
    rf"\b{_BECOMES} (?:therefore |thus |indeed |also |clearly |probably |likely )?(?:the|my|our) "
    rf"(?:(?:most|more|\w{{1,14}}ly|{_QUALITY})[ ,]{{1,2}}){{0,4}}$"
)
_CHINESE = re.compile(
    r"(?<!不选)(?<!非选)[】\]]?[\s*_]{0,4}(?:项[\s*_]{0,3}(?:应该|应)?(?:是|为|:)|(?:应该|应)?[是为选]?择?(?!项))"
    r"[\s*_]{0,4}:?[\s*_-]{0,6}(?:仅|只有|选项)?"
)
_CHINESE_NOT_MINE = re.compile(
    r"(?:不(?!过|仅|但|得不)|没|勿|忌|避免|误|错|除)[^,。.;:\s]{0,3}$"
    r"|(?:别|其他|其余|干扰|各|以下|下列|每个|所有|非|次|备|次优|备用)(?:的)?$"
    r"|(?:有|很多|许多|多数|不少|别)(?:的)?(?:人|同学|学生|考生)(?:会|都|认为|觉得|说|以为){0,2}$"
)
_CHINESE_IF = re.compile(r"(?:若|如果|假如|倘若|换作|要是|口诀)[^。.;\n]{0,40}$")
_CHINESE_OPEN = re.compile(r"\s{0,2}[a-z]\s{0,2}(?:吗|？|\?|呢|还是|的(?:同学|考生|人|学生))")
_CHINESE_WRONG = re.compile(
    r"[\s*(:]{0,4}[a-z](?:(?:[,和及与]{0,2}[a-z]){1,8}\)?项?(?:均|都|全)|\)?项?)[^\n,。.;a-z]{0,12}?"
    r"(?:错误|不正确|不符合|不是|不对|有误|不选|排除|不妥|欠妥|不当|不合适|×)"
)
_FINAL = re.compile(r"(?m)^[\s*_#]{0,4}(?:final )?answer:[\s*_]{0,4}\(?([a-z]|yes|no|maybe)(?=[).*_,]|\s*$)")
_LOOPED = re.compile(r"\banswer is:?[\s*(]{0,3}([a-z]|yes|no|maybe)\b")
_WEIGHED = re.compile(r"(?m)^\W*(?:final )?answer:\W*([a-z])\)?\W{0,3}\d{1,3}\s?%")
_HEADED = re.compile(r"【答案】[\s:]{0,3}([A-Z](?:[、,]?[A-Z])*)")
_CONDITION = re.compile(
    r"s?\s(?:only|if|when|unless|in case|(?:in|for) (?:(?:an?|some|most|many|all) )?(?:other|"
    r"different|another))\b"
)
_NOT_MINE = re.compile(
    rf"\b(?:{HEARSAY}|(?:not the case|no way|doubt)(?: that)?) (?:that )?(?:the )?$|"
    r"(?:\b|(?<=_))(?:incorrect|wrong|possible|other|textbook|rejected|another|false|initial|initially|previous|first|"
    r"tempting|common|if|whether|"
    r"suppose|might|may|could|not|assuming|than|unless|student|distractor|doubt|second|"
    r"alternative|next|least|less|worst)[\s_](?:[a-z']+\s){0,3}$|n't $"
)
_EITHER = re.compile(r"\bor (?:that )?the (?:correct )?$")
_UNSURE = re.compile(rf"\b(?:{MUSED})\b")
_NOT = re.compile(
    r"[\s*_\"'(:]{0,6}(?:not|never|neither|n't|none of these)\b"
    r"(?:\s+(?:be|option|choice|answer))?\W{0,4}([a-z]|yes|no|maybe)?\b"
)


_BUT = re.compile(
    r"(?:,? (?:or |nor |and )?[a-z]\b){0,6}[,;]?\s(?:but|so|hence|thus|therefore)(?: rather| instead)?,?\s"
    r"(?:it(?:'s| is| must be) |the answer is )?"
    r"(?=(?:option |choice )?[(*\"']{0,3}[a-z][)*\"']{0,3}(?:[.,;\s]|$))"
)
_ABSENT = re.compile(
    r"[\s*_:]{0,4}(?:not (?:\w+ ){0,2}?"
    r"(?:among|listed|provided|given|in|one of|included|available|present|stated)\b"
    r"|none of (?:the|these)\b)"
)


def statement(page: Page) -> Found | None:
    """The last statement of the answer that was not taken back by a later one."""
    last = page.text.rpartition("\n")[2].lstrip()
    said = last.rpartition("####")[2] if "####" in last else ""
    if page.choices.kind not in ("mcq", "multi") and last[:2] in ("A:", "a:"):
        said = last[2:]
    if said and (found := span(said, page.choices)) and found is not OUTSIDE:
        return found
    if "【答案】" in page.text and len(set(_HEADED.findall(page.text))) > 1:
        return AMBIGUOUS
    stated = last_statement(page)
    if stated and page.low.count("answer is") > 3:
        looped = list(_LOOPED.finditer(page.low))[-4:]
        if len({one[1] for one in looped}) > 1 and stated[0] < looped[-1].end() < len(
            page.text.rstrip(" .)*")
        ):
            return AMBIGUOUS
    weighed = list(_WEIGHED.finditer(page.low)) if stated and "%" in page.low else []
    if stated and len({one[1] for one in weighed}) > 1 and stated[0] < weighed[-1].end():
        return AMBIGUOUS
    if stated and page.low.count("answer:") > 2:
        finals = list(_FINAL.finditer(page.low))
        if (
            len(finals) > 2
            and len({one[1] for one in finals}) > 1
            and stated[0] < finals[-1].end() < len(page.text)
        ):
            return AMBIGUOUS  # a list of answers, or a loop
    start = stated[0] if stated else 0
    other = _headed(page, start) or foreign.last_letter(page, start) if page.choices.kind == "mcq" else None
    return other or (stated[1] if stated else None)


_HEADING = re.compile(
    r"(?:^|\n)[\s*_#>-]{0,6}(?:correct|right|best|most likely|lösung|结论|诊断结论|正解)"
    r"(?: (?:answer|option|choice|one))?"
    r"[*_ ]{0,3}:[*_ ]{0,3}(?=[(*]{0,3}[a-z][)*.]{0,4}\s*(?:\n|$))"
)


_IS_BELOW = re.compile(r"\b(?:is|are|be)\s?:[*_]{0,3}\s*\n[\s*_>•-]{0,8}\(?(?=[A-Z][).:])")


def _headed(page: Page, start: int) -> Found | None:
    """A letter below "… is:" or behind a heading, "Most likely: B", after `start`."""
    if page.text.find(":", start) < 0:
        return None
    found = [
        letter_at(page.text, match.end(), page.choices) for match in _IS_BELOW.finditer(page.text, start)
    ]
    for match in _HEADING.finditer(page.low, start):
        rest = page.text[match.end() :].split("\n", 1)[0]
        found.append(letters.only_letters(rest.strip("*_ ."), page.choices))
    answers = [one for one in found if one and one.answer]
    return answers[-1] if answers else None


def otherwise(page: Page) -> Found | None:
    """The last statement of another case, or of what others answer, where nothing was said outright."""
    stated = _last_statement(page, 0, outright=False)
    if stated is None or _TURNED.search(page.low, stated[0]):
        return None
    before = line_before(page.low, stated[0])
    if _IF.match(re.split(r"[.!?:;]\s", before)[-1]):
        return None
    if page.choices.kind == "mcq":
        rest = Page.of(page.text[stated[0] :], page.choices, page.question)
        texts = named.texts_named(rest.text, rest) if len(rest.text) < prose.LONG else set()
        return None if texts - {stated[1].answer} or named.other_label(page, stated[1].answer) else stated[1]
    return stated[1] if len(SENTENCE.split(page.text[stated[0] :].strip())) == 1 else None


_IF = re.compile(r"\W{0,3}(?:if|unless|had|were|should)\b(?! (?:we|you|i)\b)")
_TURNED = re.compile(
    r"\b(?:but|however|instead|actually|then|should have been|disagree|n't|not|careful\w*|revised|"
    r"re-?read\w*|"
    r"computed|final(?:ly)?|exact)\b|但|然而|后来|不过|实则|最终|老师|矛盾|正确"
)


def last_statement(page: Page, start: int = 0) -> tuple[int, Found] | None:
    """Where the last statement after `start` is, and what it says."""
    if start not in page.statements:
        page.statements[start] = _last_statement(page, start)
    return page.statements[start]


def _last_statement(page: Page, start: int, *, outright: bool = True) -> tuple[int, Found] | None:
    taken_back: set[str] = set()
    for anchor in backwards(_ANCHOR, page.low):
        if anchor.start() < start:
            break
        if anchor.group().isascii() and page.low[anchor.start() - 1 : anchor.start()].isalnum():
            continue
        found, retracted = _around(page, anchor)
        taken_back.add(retracted)
        if found is None or found.answer in taken_back:
            continue
        noun = anchor.group() in _NOUNS
        if not outright or not qualified(page.low, anchor.start(), _end_of(page.low, anchor), noun):
            return anchor.start(), found
    return None


def _end_of(low: str, anchor: re.Match[str]) -> int:
    """Where the answer should begin after an anchor, as far as can be told."""
    return _end_of_phrase(low, anchor, line_before(low, anchor.start())) or anchor.end()


def _around(page: Page, anchor: re.Match[str]) -> tuple[Found | None, str]:
    """What the statement around an anchor says, and which answer it takes back ("" if none)."""
    start, low = anchor.start(), page.low
    before = line_before(low, start)
    if anchor.group() in _NOUNS and (ahead := _BACKWARD.search(before)):
        conditional = _CONDITION.match(low, anchor.end())
        return None if conditional else _head(page, start - len(before) + ahead.start()), ""
    if _EITHER.search(before):
        return AMBIGUOUS, ""
    end = _end_of_phrase(low, anchor, before)
    clause = re.split(r"[.;:!?]\s", before[-40:])[-1]
    if (
        end is None
        or _supposed(low, start, end)
        or _NOT_MINE.search(clause)
        or (_UNSURE.search(clause) and len(low) > end + 8)
    ):
        return None, ""
    if refused := _NOT.match(low, end):
        if instead := _BUT.match(low, refused.end()):
            return tail(page.text[instead.end() : instead.end() + 700], page.choices), ""
        if _ABSENT.match(low, end):
            return NOTHING, ""
        answer = refused[1] or ""
        return None, answer.upper() if len(answer) == 1 else answer
    if anchor.group() not in _NOUNS and anchor.group().isascii() and _REMARK.match(low, end):
        return None, ""
    said = page.text[end : end + 700].lstrip("\n \t*:_")
    found = tail(said, page.choices)
    if page.choices.kind in ("closed", "open") and found and found.answer:
        placeholder = _PLACEHOLDER.match(said) and not _NAMES_X.search(page.question)
        found = OUTSIDE if placeholder else restated.stated(said, page) or found
    if page.choices.kind == "mcq" and found and found.answer and _and_another(said, found.answer, page):
        return AMBIGUOUS, ""
    if found is AMBIGUOUS and page.choices.kind == "number" and page.choices.form == "number":
        found = values.new(SENTENCE.split(said, maxsplit=1)[0], page.question, besides=True) or found
    if (
        not anchor.group().isascii()
        and found is not None
        and (
            _CHINESE_WRONG.match(low, end)
            or _CHINESE_OPEN.match(low, end)
            or "\n-" in low[anchor.end() : end]
        )
    ):
        return None, ""
    return (NOTHING if found is None and _ABSENT.match(low, end) else found), ""


_PLACEHOLDER = re.compile(
    r"[\s*_\"'(\[]{0,4}X[*_\"')\].]{0,4}\s*(?:$|\n)"
)  # "the answer is X", as prompts put it
_NAMES_X = re.compile(r"chromosome|factor|nerve|letter|gene|sex|type|class|stage", re.I)
_REMARK = re.compile(
    r"[\s*_\"'(:]{0,6}(?:option |choice )?[(*]{0,3}[a-z][)*]{0,3}(?: first\b| (?:is|are|was|does|acts|"
    r"would|can)\b"
    r"(?! (?:be )?(?:correct|right|the (?:best|most|correct|right|answer|only|one)|most|best|my|it|clearly|"
    r"therefore|likely)))"
)
_OTHER_CASE = re.compile(
    r"(?:^|[^.;\n]{0,80}?[\s,])(?:(?:for|in|if|when)\s[^.;\n]{1,60}?(?:,|\band\b|\bbut\b|\bor\b)"
    r"|or the answer (?:is|could be)|otherwise|alternatively,?)"
    r"\s(?:option |it is )?[(*]{0,3}(?P<letter>[A-Z])[)*]{0,3}(?= (?:for|in|if|when)\b|[.,;]|\s*$)"
)


def _and_another(said: str, answer: str, page: Page) -> bool:
    """Whether a statement goes on with another answer, for another case or on the next line of a list."""
    if _by_case(said, answer):
        return True
    rows = [row for row in said.split("\n")[:8] if row.strip()] if said[:2] in _BULLETS else []
    items = {page.choices.texts.get(plain(row[2:])) for row in rows if row[:2] in _BULLETS}
    return bool(items - {None, "", answer})


_BULLETS = ("- ", "* ", "• ")


def _by_case(said: str, answer: str) -> bool:
    """Whether a statement gives another answer for another case: "C for adults, D for children"."""
    other = _OTHER_CASE.match(said[1:].split("\n", 1)[0])
    return other is not None and other["letter"] != answer


_SUPPOSES = re.compile(r"[\s*_]*(?:but )?(?:if|were|unless|had|suppose|assuming|in case)\b")


_IF_AFTER = re.compile(r"[^.;\n]{0,60}?\b(?:if|were|had)\b")


def _supposed(low: str, start: int, end: int) -> bool:
    """Whether the sentence only says what the answer would be under a condition."""
    sentence = low[max(0, start - 200) : start]
    cut = max(sentence.rfind(mark) for mark in (". ", "! ", "? ", "\n", ".\n"))
    if "would" not in low[start:end]:
        return False
    return _SUPPOSES.match(sentence[cut + 1 :]) is not None or _IF_AFTER.match(low, end) is not None


def _end_of_phrase(low: str, anchor: re.Match[str], before: str) -> int | None:
    """Where "the answer is" ends and the answer should begin, if the anchor belongs to such a phrase."""
    word, end = anchor.group(), anchor.end()
    if word in _NOUNS:
        phrase = _FORWARD.match(low, end)
        if word in ("option", "choice", "decision", "verdict", "guess") and not _QUALIFIED.search(before):
            return None
        if low.startswith("s", end) and before.endswith("answer "):  # a heading over the options
            return None
        if phrase is None and word == "answer" and _I.search(before):
            return end
        if phrase is None and word == "answer" and _HEADS.fullmatch(before):
            phrase = _BELOW.match(low, end)
        return phrase.end() if phrase else None
    if word == "lean":
        phrase = _LEAN.match(low, end)
        return phrase.end() if phrase else None
    if not word.isascii():
        earlier = low[max(0, anchor.start() - 50) : anchor.start()]
        if _CHINESE_NOT_MINE.search(earlier[-7:]) or _CHINESE_IF.search(earlier):
            return None
        if word == "选" and low.startswith("项", end) and earlier[-1:].isascii() and earlier[-1:].isalpha():
            return None  # "D选项为…" is about D
    if word == "say" and before.endswith("let's "):
        return None  # supposed
    phrase = _I_DO.match(low, end) if word.isascii() else _CHINESE.match(low, end)
    return phrase.end() if phrase and (not word.isascii() or _I.search(before)) else None


_HEADS = re.compile(r"[#*_ ]{0,8}(?:the |my )?(?:final|correct) ")
_LABELLED = r"[\s*_]{0,4}[(\[]?[*_]{0,2}[a-z][*_]{0,2}[.:)\]]"
_BELOW = re.compile(
    rf"[*_ ]{{0,4}}\n+(?={_LABELLED}[^\n]*(?:$|\n+(?!{_LABELLED}))|[\s*_]{{0,4}}(?:yes|no|"
    rf"maybe)[*_.]{{0,3}}\s*(?:\n|$))"
)
_HEAD_BREAK = re.compile(
    r"=>|→|[.!?;:](?=\s)|,\s|\b(?:that|so|thus|hence|therefore|and|but|means|option|choice|answer)\b:?\s"
)
_HEAD_OPEN = re.compile(r"\b(?:or|nor|neither|both|not|if|whether|why)\s+\S{1,20}\s*$")


def _head(page: Page, end: int) -> Found | None:
    """The answer named just before `end`, as in "option C is the best choice"."""
    head = page.text[max(0, end - 200) : end].rpartition("\n")[2]
    low = page.low[end - len(head) : end]
    if _HEAD_OPEN.search(low):
        return None
    whole = exactly if page.choices.kind == "mcq" else span
    for piece in [0, *(match.end() for match in _HEAD_BREAK.finditer(low))][-6:]:
        part = head[piece:].strip()
        if part and len(part) < 180 and (found := whole(part, page.choices)) and found.answer:
            return None if denied(low, piece, piece) else found
    return None
