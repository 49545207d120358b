"""Sentences, and the words in them that tell something."""

import re

SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z*\"(])|\n+|;\s")
_WORD = re.compile(r"[a-z]{3,}|\d+")
_FILLERS = frozenset((
    "the", "most", "people", "patients", "usually", "normally", "typically", "generally", "they",
    "them", "this", "that", "these", "are", "was", "were", "does", "did", "has", "have", "had", "any",
    "there", "its", "image", "images", "picture", "scan", "photo", "figure", "slide", "evidence",
    "sign", "signs", "and", "for", "with", "you", "see", "seen", "shown", "show", "shows", "look",
    "looks", "appear", "appears", "present", "some", "what", "which", "where", "who", "how", "when",
    "following", "patient", "being", "been", "from", "into", "can", "display", "displays",
    "demonstrate", "demonstrates", "contain", "contains", "include", "includes",
))  # fmt: skip
_ENDING = re.compile(r"(?:es|s|ing|ed|e)$")


def telling(text: str) -> set[str]:
    """The telling words of `text`, without their endings."""
    return set(in_order(text))


def in_order(text: str) -> list[str]:
    """The telling words of `text`, each once, as they first come, without their endings."""
    words = (_ENDING.sub("", word) for word in _WORD.findall(text.lower()) if word not in _FILLERS)
    return list(dict.fromkeys(words))


RELATION = re.compile(
    r"\b(?:above|below|under|over|behind|beside|front|anterior|posterior|superior|inferior|medial|lateral|"
    r"proximal|distal|left of|right of|inside|within|before|after)\b"
    r"|\A\s*(?:is|are|was|were) (?:the|a) [\w ]{1,30} (?:on|in) (?:the|a) \w+\W*\Z",
    re.I,
)
"""What in a question makes the order of its words matter: "Is the kidney above the liver?"."""

_WANTS_FALSE = re.compile(
    r"\b(?:NOT|EXCEPT|LEAST)\b|错误|不正确|不恰当|不属于|不是|不符合|除外"
    r"|(?i:\b(?:except|incorrect|false|wrong|least|"
    r"(?:is|are|was|were|would|does|do|can|should|has|have)(?: \w+)? not)\b)"
    r"(?!.*[.!?]\s+\S)",  # what only the last sentence says
    re.S,
)


def wants_false(question: str) -> bool:
    """Whether a question asks for the option that does not hold."""
    return _WANTS_FALSE.search(question) is not None
