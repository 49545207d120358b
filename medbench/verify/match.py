"""Whether an answer is one of the golds, and the gold as a reply that a model might have written."""

import math

from medbench.schema import Example, Finish, Verdict
from medbench.verify.extract import read
from medbench.verify.text import plain


def grade(reply: str, example: Example, finish: Finish = "stop") -> Verdict:
    """What `reply` is worth as an answer to `example`.

    Metric, difficulty filter and reward all call this. A reply without a readable answer is wrong;
    only a failed call (`finish` "error") is neither right nor wrong.
    """
    reading = read(reply, example, finish)
    if reading.status == "error":
        return Verdict(None, reading.rule, "error", None)
    correct = reading.answer is not None and matches(reading.answer, example)
    return Verdict(reading.answer, reading.rule, reading.status, correct)


def matches(answer: str, example: Example) -> bool:
    """Whether `answer`, as `read` returns it, is an accepted one."""
    if example.kind == "mcq":
        return answer in example.gold
    if example.kind == "number":
        return any(_same_number(answer, gold) for gold in example.gold)
    return any(answer == plain(gold) for gold in example.gold)


def _same_number(answer: str, gold: str) -> bool:
    low, high = limits(gold)
    try:
        value = float(answer)
    except ValueError:
        return False
    slack = 1e-9 * max(1.0, abs(low), abs(high))
    return low - slack <= value <= high + slack


def limits(gold: str) -> tuple[float, float]:
    """The lowest and highest number a gold accepts; an unreadable gold accepts none.

    >>> limits("7"), limits("6.5..7.5"), limits("10+-5%")
    ((7.0, 7.0), (6.5, 7.5), (9.5, 10.5))
    """
    gold = gold.replace("±", "+-").replace(",", "").replace("−", "-").strip()
    try:
        if ".." in gold:
            low, high = gold.split("..", 1)
            return float(low), float(high)
        middle, sign, width = gold.partition("+-")
        if not sign:
            return float(gold), float(gold)
        reach = abs(float(middle)) * float(width.rstrip("% ")) / 100 if "%" in width else float(width)
        return float(middle) - reach, float(middle) + reach
    except ValueError:
        return math.inf, -math.inf


def gold_reply(example: Example) -> str:
    """The first gold as a plain reply, which its own scorer must accept."""
    gold = example.gold[0]
    if example.kind == "number" and (".." in gold or "+-" in gold or "±" in gold):
        low, high = limits(gold)
        gold = repr((low + high) / 2)
    return f"The answer is {gold}."
