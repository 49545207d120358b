"""How many words an answer shares with its golds: exact match, token F1, BLEU, ROUGE, open recall, BERTScore.

Token measures are those of SQuAD (Rajpurkar et al. 2016), BLEU is nltk's for one sentence without smoothing
(as VQA-Med 2019 and MedEvalKit report it), ROUGE is rouge-score's F1 without stemming, open recall is
LLaVA-Med's. All are on the words that `words` gives. Where several golds are accepted, each measure is that
of its best gold.
"""

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from medbench.errors import ModelError, PrerequisiteError, UsageError
from medbench.verify.text import LONGEST, unmarked

MEASURES = (
    "token_f1",
    "token_precision",
    "token_recall",
    "exact_match",
    "open_recall",
    "bleu_1",
    "bleu_2",
    "bleu_3",
    "bleu_4",
    "rouge_1",
    "rouge_2",
    "rouge_l",
)
BERTSCORES = ("bertscore_precision", "bertscore_recall", "bertscore_f1")

ARTICLES = frozenset({"a", "an", "the"})
WEIGHTS = [(1.0,), (1 / 2,) * 2, (1 / 3,) * 3, (1 / 4,) * 4]
"""BLEU-n weighs the n-gram precisions up to n alike."""

_SILENT = re.compile("[‘’\u00ad\u200b-\u200d\u2060\ufeff]")
_CHARACTER = "\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(
    rf"[{_CHARACTER}]"
    rf"|(?:(?<!\w)[-+](?=\d))?(?:[^\W_{_CHARACTER}]|(?<=\d)\.(?=\d)|(?<=\d),(?=\d\d\d(?!\d)))+(?:\+(?!\w))?"
)


def overlaps(answer: str, golds: Sequence[str], lang: str = "en") -> dict[str, float]:
    """The `MEASURES` of an answer against its accepted golds, each in [0, 1]; without a word all are 0.

    >>> found = overlaps("the left lower lobe", ["left lobe", "lingula"])
    >>> round(found["token_f1"], 3), found["token_recall"], round(found["rouge_l"], 3)
    (0.8, 1.0, 0.667)
    """
    said = words(answer)
    each = [_shared(said, words(gold), lang) for gold in golds]
    return {name: max((one[name] for one in each), default=0.0) for name in MEASURES}


def words(text: str) -> list[str]:
    """The words of `text` as they are compared; at most the last 100,000 characters count.

    A word is a run of letters and digits after Unicode NFKC and case folding. Punctuation parts words, but
    apostrophes vanish, and a decimal point, a number's sign and a closing plus stay. Each Chinese or
    Japanese character is a word. A text of symbols alone is its symbols.

    >>> words("Crohn's, T2-weighted: -1,250.5 HU, CD4+"), words("左肺CT")
    (['crohns', 't2', 'weighted', '-1250.5', 'hu', 'cd4+'], ['左', '肺', 'ct'])
    """
    text = text[-LONGEST:]
    if not text.isascii():
        text = _SILENT.sub("", unicodedata.normalize("NFKC", text)).replace("−", "-")
    found = _WORD.findall(unmarked(text).casefold())
    return [word.replace(",", "") for word in found] or [sign for sign in text if not sign.isspace()]


def telling(tokens: list[str], lang: str) -> list[str]:
    """The words without English articles, one at the very end excepted: vitamin A ends in none.

    >>> telling(words("The hepatitis A"), "en")
    ['hepatitis', 'a']
    """
    if lang != "en":
        return tokens
    last = len(tokens) - 1
    return [token for i, token in enumerate(tokens) if i == last or token not in ARTICLES]


def _shared(said: list[str], gold: list[str], lang: str) -> dict[str, float]:
    if not set(said) & set(gold):
        return dict.fromkeys(MEASURES, 0.0)
    scores = _tokens(telling(said, lang), telling(gold, lang))
    scores |= {f"bleu_{n}": value for n, value in enumerate(bleu(said, gold), start=1)}
    found = _rouge().score(gold, said)
    scores |= {"rouge_1": found["rouge1"].fmeasure, "rouge_2": found["rouge2"].fmeasure}
    return scores | {"rouge_l": 2 * common(said, gold) / (len(said) + len(gold))}


def _tokens(said: list[str], gold: list[str]) -> dict[str, float]:
    """SQuAD's measures: words shared, counted as often as both have them."""
    shared = (Counter(said) & Counter(gold)).total()
    named = set(said)
    return {
        "token_f1": 2 * shared / (len(said) + len(gold)),
        "token_precision": shared / len(said),
        "token_recall": shared / len(gold),
        "exact_match": float(said == gold),
        "open_recall": sum(token in named for token in gold) / len(gold),
    }


def bleu(said: list[str], gold: list[str]) -> list[float]:
    """BLEU-1 to BLEU-4 of one sentence by nltk; without a shared n-gram of some order up to n, BLEU-n is 0.

    So a one-word answer has BLEU-2 to BLEU-4 of 0 even where it is right, as in published figures.
    """
    from nltk.translate.bleu_score import sentence_bleu

    scores = sentence_bleu([gold], said, WEIGHTS, smoothing_function=_unsmoothed)
    return [float(score) if score > 1e-50 else 0.0 for score in scores]


def _unsmoothed(precisions: list[Fraction], **_: Any) -> list[Any]:
    # What nltk does when told nothing (its method0), less a warning per reply.
    return [p if p.numerator else sys.float_info.min for p in precisions]


class _Ready:
    """A tokenizer for rouge-score that is handed words already."""

    def tokenize(self, text: list[str]) -> list[str]:
        return text


@cache
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rouge1", "rouge2"], tokenizer=_Ready())


def common(one: list[str], other: list[str]) -> int:
    """Length of the longest common subsequence, for ROUGE-L.

    rouge-score's own table takes 0.3 s for a thousand words against a thousand; a row of it as the bits
    of one integer (Hyyrö 2004) takes a thousandth of that, and gives the same.

    >>> common("the cat sat".split(), "the dog and the cat".split())
    2
    """
    short, long = sorted((one, other), key=len)
    where: dict[str, int] = {}
    for i, word in enumerate(short):
        where[word] = where.get(word, 0) | 1 << i
    full = (1 << len(short)) - 1
    row = full
    for at in filter(None, map(where.get, long)):
        kept = row & at
        row = (row + kept | row - kept) & full
    return len(short) - row.bit_count()


def bertscore(
    answers: Sequence[str],
    golds: Sequence[Sequence[str]],
    model: str,
    *,
    layers: int | None = None,
    device: str | None = None,
    batch: int = 64,
) -> list[dict[str, float]]:
    """BERTScore (Zhang et al. 2020) of each answer against its best gold: precision, recall, F1.

    `model` is a folder or a Hub id. The states compared are those of layer `layers`; None takes the layer
    that bert-score recommends for a model of that name. No idf weights, no rescaling; a cosine below 0
    counts 0, as does an empty text. Raises PrerequisiteError without the package, ModelError without the
    model, UsageError where no layer is known.
    """
    try:
        from bert_score import score
        from bert_score.utils import model2layers
    except ImportError as problem:
        what = f"BERTScore needs the package bert-score ({problem})"
        raise PrerequisiteError(what, "pip install 'medbench[bertscore]'") from None
    layer = layers or model2layers.get(model) or model2layers.get(Path(model).name)
    if layer is None:
        raise UsageError(f"no layer is recommended for '{model}'", "give layers, often the model's last")
    best = [dict.fromkeys(BERTSCORES, 0.0) for _ in answers]
    pairs = list(_worded(answers, golds))
    if not pairs:
        return best
    rows, said, wanted = (list(column) for column in zip(*pairs, strict=True))
    try:
        parts = score(said, wanted, model_type=model, num_layers=layer, device=device, batch_size=batch)
    except OSError as problem:
        what = f"cannot open '{model}' for BERTScore: {problem}"
        raise ModelError(what, "give a folder with an encoder and its tokenizer, or a Hub id") from problem
    for name, values in zip(BERTSCORES, parts, strict=True):
        for row, value in zip(rows, values.tolist(), strict=True):
            best[row][name] = min(max(best[row][name], value), 1.0)
    return best


def _worded(answers: Sequence[str], golds: Sequence[Sequence[str]]) -> Iterator[tuple[int, str, str]]:
    # bert-score fails on an empty text under transformers 5.
    for row, (answer, accepted) in enumerate(zip(answers, golds, strict=True)):
        if answer.strip():
            yield from ((row, answer, gold) for gold in accepted if gold.strip())
