"""Everything medbench raises on purpose, in one tree.

    MedbenchError               exit 1   it ran, and it failed
    ├── UsageError              exit 2   the command, a name or a config value is wrong
    └── PrerequisiteError       exit 3   something outside is missing
        ├── SourceError                  a data source is absent, moved, gated or not what was pinned
        └── ModelError                   a model cannot be opened or cannot do what was asked

Each error says what happened (`what`) and how to mend it (`fix`). The command line prints both
without a traceback; anything outside this tree is a bug of ours and keeps its traceback.
"""

import difflib
from collections.abc import Iterable


class MedbenchError(Exception):
    """A failure the user can act on."""

    exit_code = 1

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


class UsageError(MedbenchError):
    """The command, a name or a config value is wrong."""

    exit_code = 2


class PrerequisiteError(MedbenchError):
    """Something outside medbench is missing: a package, a credential, a file."""

    exit_code = 3


class SourceError(PrerequisiteError):
    """A data source is absent, moved, gated, or does not hold what the catalog says."""


class ModelError(PrerequisiteError):
    """A model cannot be opened, or cannot do what was asked of it."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is not known; it offers the nearest, else lists all of them.

    >>> print(unknown("suite", "medxprt", ["medxpert", "qa6"]).fix)
    did you mean 'medxpert'?
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return UsageError(
        f"no {kind} named '{name}'",
        f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names) or 'none'}",
    )
