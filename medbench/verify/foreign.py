"""Statements of a letter in languages other than English and Chinese: "La respuesta correcta es la C"."""

import re

from medbench.verify.letters import stands_alone
from medbench.verify.page import Found, Page

_WORDS = (
    "respuesta", "opción", "correcta es", "resposta", "opção", "alternativa", "gabarito",
    "letra", "réponse", "bonne réponse", "antwort", "risposta", "opzione", "ответ", "вариант",
    "正解", "答え", "正しい", "정답", "답은", "답:", "الإجابة", "الخيار", "odpowied", "đáp án",
)  # fmt: skip
_STATED = re.compile(
    r"(?:" + "|".join(_WORDS) + r")(?P<about>[^.\n。?？]{0,40}?)"
    r"[\s:：*(]{0,4}(?:\b(?:é|est?|es|ist|è|lautet|to|jest|là|este)\b|は|が|은|는|:|：|—|-|–|هي)[\s:：*]{0,4}"
    r"(?:(?:a|la|el|le|il|die|der|das|o|l')\s?)?(?:(?:opción|opção|alternativa|option|opzione|letra|lettre|вариант)\s)?"
    r"[(*「]{0,3}(?P<letter>[A-Z])(?![A-Za-z0-9'’])",
    re.I,
)
_CORRECT = re.compile(
    r"(?:opción|alternativa|opção|letra|opzione|l'option|antwort(?:möglichkeit)?)\s[(*]{0,3}(?P<letter>[A-Z])[)*]{0,3}\s"
    r"(?:es|está|é|est|è|ist)\s(?:la\s|a\s)?(?:correct|richtig|corrett)|antwortmöglichkeit\s(?P<other>[A-Z])\s",
    re.I,
)
_WRONG = re.compile(r"err[oó]ne|fauss|falsch|errad|sbagliat|間違|неверн|오답|incorrect|ложн")
_DENIES = re.compile(r"\b(?:no|não|ne|n'est|pas|nicht|non|не)\b|아니|ではな", re.I)


def last_letter(page: Page, start: int) -> Found | None:
    """The letter of the last such statement after `start`."""
    low = page.low[start:]
    if not any(word in low for word in _WORDS):
        return None
    found: list[tuple[int, str]] = []
    for match in _STATED.finditer(page.text, start):
        at = match.start("letter")
        if _WRONG.search(low[max(0, match.start() - start - 20) : match.start("letter") - start]):
            continue
        if match["letter"].isupper() and stands_alone(page.text, at) and not _DENIES.search(match["about"]):
            found.append((match.start(), match["letter"]))
    for match in _CORRECT.finditer(page.text, start):
        letter = match["letter"] or match["other"]
        if letter.isupper():
            found.append((match.start(), letter))
    if not found:
        return None
    letter = max(found)[1]
    return Found(letter) if letter in page.choices.labels else None


_ELSEWHERE = re.compile(
    r"\b(?:est|sont|pas|les|des|une|der|die|das|ist|nicht|und|eine|los|las|por|una|para|não|uma|dos|che|sono|della|"
    r"nie|jest)\b|[\u0400-\u04ff\u3040-\u30ff\uac00-\ud7af\u0600-\u06ff]{2}"
)


def spoken(low: str) -> bool:
    """Whether a text is in one of these languages, whose denials are not understood."""
    return len(_ELSEWHERE.findall(low[:2000])) > 2
