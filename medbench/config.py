"""One frozen config per thing, checked once, at the edge. Also the only reader of YAML.

Inside medbench code receives the typed object; dicts and strings stop here. A wrong key or type is a
`UsageError` that names the key and, for an unknown one, the nearest that exists.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

import pydantic
import yaml

from medbench.errors import UsageError, unknown

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Config(pydantic.BaseModel):
    """Base of every config: frozen, and strange keys are refused."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


C = TypeVar("C", bound=Config)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping a YAML file holds. Safe loading only; anything but a mapping is a `UsageError`."""
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)  # noqa: S506  a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise UsageError(f"cannot read {path}: {problem}") from problem
    if not isinstance(tree, dict):
        raise UsageError(f"{path} must hold a mapping at its top")
    return tree


def parse(model: type[C], tree: Mapping[str, Any], where: str) -> C:
    """`tree` as a `model`; `where` names its origin in the error."""
    try:
        return model.model_validate(dict(tree))
    except pydantic.ValidationError as problem:
        found = problem.errors(include_url=False)
        first = next((error for error in found if error["type"] == "extra_forbidden"), found[0])
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            near = unknown("key", key, known_keys(model, first["loc"]))
            raise UsageError(f"{where}: {near.what}", near.fix) from None
        if not key:  # a rule over several keys
            raise UsageError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None
        got = "" if first["type"] == "missing" else f" (got {str(first.get('input'))[:60]!r})"
        raise UsageError(f"{where}: '{key}': {first['msg']}{got}") from None


def known_keys(model: type[pydantic.BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that would have been understood beside the one at `location`."""
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, pydantic.BaseModel)):
            return []
        model = inner
    return sorted(model.model_fields)


def override(tree: Mapping[str, Any], settings: Iterable[str]) -> dict[str, Any]:
    """`tree` with `a.b=value` settings applied; each value is read as YAML.

    >>> override({"sampling": {"seed": 0}}, ["sampling.seed=7", "name=x"])
    {'sampling': {'seed': 7}, 'name': 'x'}
    """
    result: dict[str, Any] = deepcopy(dict(tree))
    for setting in settings:
        path, sign, text = setting.partition("=")
        if not sign or not path:
            raise UsageError(f"--set '{setting}' is not of the form key=value")
        *parents, leaf = path.split(".")
        node = result
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise UsageError(f"--set '{setting}': '{parent}' is a value, not a section")
        try:
            node[leaf] = yaml.load(text, Loader=Loader)  # noqa: S506  a safe loader
        except yaml.YAMLError as problem:
            raise UsageError(f"--set '{setting}': the value is not YAML: {problem}") from None
    return result


def canonical(value: Any) -> str:
    """JSON text that is equal for equal values: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)


def digest_of_rows(rows: Iterable[Any]) -> str:
    """The `digest` of a list of rows, made without holding the list."""
    found = hashlib.sha256(b"[")
    for number, row in enumerate(rows):
        found.update(("," if number else "").encode() + canonical(row).encode())
    found.update(b"]")
    return found.hexdigest()[:16]


def digest(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]
