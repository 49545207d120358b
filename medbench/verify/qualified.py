"""Answers that are stated of another case or by someone else: "the trap answer is D", "in children, B".

They count only where nothing says the answer outright. What may stand before "answer" is listed, for what
else may stand there has no end.
"""

import re

from medbench.verify.text import line_before

_OWN = frozenset((
    "the", "my", "our", "an", "final", "correct", "right", "best", "true", "actual", "real", "likely",
    "probable", "appropriate", "accurate", "suitable", "overall", "single", "only", "one", "definitive",
    "revised", "corrected", "updated", "new", "this", "so", "therefore", "thus", "hence", "and", "is", "that",
    "conclusion", "preferred", "precise", "exact", "expected", "required", "short", "direct", "simple",
    "boxed", "primary", "main", "top", "in", "to", "summary", "closest", "reasonable", "optimal", "plausible",
    "good", "better", "clear", "own", "following", "select", "choose", "give", "output", "provide", "submit",
    "enter", "mark", "conclude", "with", "of", "for", "multiple", "choice", "numeric", "numerical", "integer",
    "letter", "logical", "complete", "full",
    "ultimate", "proper", "most", "valid", "consistent", "fitting", "recommended", "predicted", "computed",
    "calculated", "approximate", "estimated", "rounded", "decimal", "are", "as", "response", "option",
    "verified", "consensus", "concise", "also", "then", "a", "b", "c", "d", "e", "q", "which", "where", "it",
    "because", "gives", "by", "now", "finally", "indeed", "clearly", "its", "generated", "json", "text",
))  # fmt: skip
_BEFORE = re.compile(r"([\w'-]+)[\s*_\"'(\[#>]*$")
_PARTS = re.compile(r"[.;:!?|]\s|\n|\*\*|,?\s(?:but|however|so|yet|therefore|thus|hence)\b,?\s(?=.)")
_LEADS_IN = re.compile(
    r"\W*(?:(?:but|and|so|while|whereas),? )?(?:(?:if|when|had|were|should)\b(?! (?:i|we|you|\w+ing)\b)"
    r"|(?:in|for|with|as an?)\b(?! (?:this|these|that|the (?:case|given|above|question|end|present|context|"
    r"patient|image|picture|figure|light|options?|scenario)|conclusion|summary|short|our|his|her|my|such|"
    r"light|view|terms|addition|order|all|total|other words|fact|general|question|option|both|mind|"
    r"a result|brief|line|regard|respect|\w+ing)\b))"
)
_ONLY_SEEMS = re.compile(
    r"\b(?:at first|initially|looks? like|seem(?:s|ed)?|appears?|appeared|on the surface|unless|"
    r"in which case|according to|"
    r"i (?:considered|thought|assumed|believed|wondered|was leaning))\b"
)
_THEN = re.compile(
    r"[\s*_\"'(:]{0,6}(?:option |choice )?[(]?(?:[a-z]|yes|no)[)]?[*_)\"']{0,3},?\s"
    r"(?:only\b|(?:if|unless|when)\b(?! i (?:had|have|were|must)\b)|(?:in|for|with)\b"
    r"(?! (?:this|these|the|that|our|his|her|order|fact|my|all|which|it|addition|a way)\b))"
)
_LABEL = re.compile(
    r"\W{0,6}(?:hypothes[ie]s|draft|sample|example|few-shot\w*|attempt|guess|student|agent|resident|critic|"
    r"practice|(?:[\w-]+ )?(?:tip|pearl)|note|reminder|takeaway)\b[^:\n]{0,24}(?::|$)"
)
_OF = re.compile(
    r"\w+(?: \w+)? (?:given\b(?! (?:the|this|that|these|his|her)\b)|of (?:a|my|most|many)\b|"
    r"(?:with|for|in|to)\b(?! (?:this|the|these|that|our|your|his|her|all|my|each|question|number|"
    r"problem|q\d*|be|fact|order|addition)\b))"
)
# In Chinese the clause up to "select" or "answer" is listed.
_CHINESE_CLAUSE = re.compile(r"[,。.;:!?\n、]|\s-\s")
_CHINESE_OWN = re.compile(
    r"(?:[\s*_#【\[(>\d-]|本题|该题|此题|这道?题|题目|问题|正确|最佳|最终|最合适|最可能|最优|最|标准|参考|因此|所以|故|综上|"
    r"所述|由此|应该?|应当|我们?|会|将|的|就|则|即|为|是|可以?|只能|因而|答案|选项?|首|单|多|结论|建议|推荐|认为|判断|可知|得出|"
    r"得|那么|而|于是|下|给出|请|该|项|题|[a-z]|\d)*"
)


def qualified(low: str, start: int, end: int, noun: bool) -> bool:
    """Whether the statement around `start:end`, in lower case, is one of another case or another's answer.

    `noun`: it is about an "answer" or the like, rather than about what someone would choose.
    """
    before = line_before(low, start)
    if not low[start].isascii():
        clause = _CHINESE_CLAUSE.split(before)[-1]
        return not _CHINESE_OWN.fullmatch(clause)
    piece = _PARTS.split(before)[-1]
    word = _BEFORE.search(piece)
    if noun and word and word[1] not in _OWN and not word[1].isdigit() and word[1].isascii():
        return True
    if _LABEL.match(before):
        return True
    leads_in = _LEADS_IN.match(piece) and len(piece.split()) > 2
    return bool(
        leads_in or _ONLY_SEEMS.search(piece) or _THEN.match(low, end) or (noun and _OF.match(low, start))
    )
