"""The value of a written calculation: numbers, + - * / **, brackets, and nothing else.

Text of a model is parsed, never evaluated. Length, nesting and powers are bounded, so that no text can
exhaust time, stack or memory.
"""

import ast
import math
import operator
import re
from collections.abc import Callable

LONGEST = 120
DEEPEST = 12
LARGEST_EXPONENT = 64
LARGEST_BASE = 1e6

_THOUSANDS = re.compile(r"(?<![\d.])\d{1,3}(?:,\d{3})+(?!\d)")
_WRITTEN = re.compile(r"(?:\d{1,30}(?:\.\d{0,30})?(?:e[-+]?\d{1,3})?|\.\d{1,30}|[-+*/() ])+", re.A)
_SIGNS = re.compile(r"[-+](?: ?[-+]){2}|//")
_OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def value(text: str) -> float | None:
    """What the calculation `text` comes to, None if it is none or has no finite real value.

    `^` is a power; commas may separate thousands.

    >>> value("(140-72)/3*1.2"), value("2**3"), value("1,200/2"), value("2**2**99"), value("__import__('os')")
    (27.2, 8.0, 600.0, None, None)
    """
    if len(text) > LONGEST:
        return None
    if "," in text:
        text = _THOUSANDS.sub(lambda match: match.group().replace(",", ""), text)
    text = text.replace("^", "**").strip().lower()
    if not _WRITTEN.fullmatch(text) or _SIGNS.search(text) or _depth(text) > DEEPEST:
        return None
    try:
        result = _worth(ast.parse(text, mode="eval").body)
    except (SyntaxError, ArithmeticError):
        return None
    return result if result is not None and math.isfinite(result) else None


def _depth(text: str) -> int:
    depth = deepest = 0
    for char in text:
        depth += (char == "(") - (char == ")")
        deepest = max(deepest, depth)
    return deepest


def _worth(node: ast.expr) -> float | None:
    """The value of a syntax tree of numbers and operations; None for any other tree."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        inner = _worth(node.operand)
        return None if inner is None else -inner if isinstance(node.op, ast.USub) else inner
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _worth(node.left), _worth(node.right)
    if left is None or right is None:
        return None
    if isinstance(node.op, ast.Pow):
        return _power(left, right)
    operation = _OPERATIONS.get(type(node.op))
    return operation(left, right) if operation else None


def _power(base: float, exponent: float) -> float | None:
    if abs(exponent) > LARGEST_EXPONENT or abs(base) > LARGEST_BASE or (base < 0 and exponent % 1):
        return None
    result: float = base**exponent
    return result
