"""The rules of the house: floors, doors, sizes, light help, documented verbs, a clean wheel."""

import ast
import doctest
import importlib
import json
import os
import re
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "medbench"

FLOORS = [
    {"cli"},
    {"builders", "evaluators", "trainers"},
    {"difficulty", "judges"},
    {"solve"},
    {"catalog", "store"},
    {"adapters", "parity", "taxonomy", "rubrics", "rows"},
    {"verify"},
    {"runs"},
    {"inference", "sources", "prompts", "references"},
    {"images"},
    {"schema", "config", "files", "stats"},
    {"errors"},
]

DOORS = {
    "typer": ("cli",),
    "rich": ("cli/render",),
    "duckdb": ("store",),
    "datasets": ("sources", "trainers/trl"),
    "huggingface_hub": ("sources",),
    "aiohttp": ("inference/openai",),
    "yaml": ("config",),
    "torch": ("inference/local", "trainers/trl", "trainers/tiny"),
    "transformers": ("inference/local", "inference/vision", "trainers/trl", "trainers/tiny"),
    "tokenizers": ("trainers/tiny",),
    "trl": ("trainers/trl",),
    "peft": ("trainers/trl",),
    "lm_eval": ("inference/lm_eval",),
    "matplotlib": ("trainers",),
    "PIL": ("images",),
    "pydicom": ("images/dicom",),
    "nltk": ("verify/overlap",),
    "rouge_score": ("verify/overlap",),
    "bert_score": ("verify/overlap",),
    "pint": ("verify/units",),
}

HEAVY = {
    "polars",
    "duckdb",
    "datasets",
    "huggingface_hub",
    "transformers",
    "torch",
    "trl",
    "lm_eval",
    "aiohttp",
    "nltk",
    "rouge_score",
    "bert_score",
    "pint",
    "PIL",
    "numpy",
    "pydicom",
}

ALLOWED_LONG: dict[str, str] = {}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Each module as `inference/openai` with its syntax tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).with_suffix("").as_posix()
        yield name.removesuffix("/__init__"), ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names a module imports, at its top or inside functions; typing-only ones left out."""
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "medbench":
                yield from (f"medbench.{alias.name}" for alias in node.names)
            else:
                yield node.module


def floor(room: str) -> int | None:
    """Which floor a room is on, counted from the top; None for the package itself."""
    return next((i for i, rooms in enumerate(FLOORS) if room in rooms), None)


def room(name: str) -> str:
    """`inference/openai` is in the room `inference`."""
    return name.split("/")[0]


def test_every_module_is_on_a_floor() -> None:
    """A new module must say where it belongs."""
    homeless = {room(name) for name, _ in modules()} - set().union(*FLOORS) - {".", "__init__", "__main__"}
    assert homeless == set()


def test_imports_point_down() -> None:
    """No module imports from its own floor (but its own room) or from one above."""
    wrong = []
    for name, tree in modules():
        here = floor(room(name))
        for target in imports(tree):
            if not target.startswith("medbench.") or here is None:
                continue
            there = floor(target.split(".")[1])
            if there is not None and there <= here and target.split(".")[1] != room(name):
                wrong.append(f"{name} imports {target}")
    assert wrong == []


def test_no_import_cycles() -> None:
    """Within a room, top-level imports make no cycle either."""
    graph: dict[str, set[str]] = {}
    names = {name for name, _ in modules()}
    for name, tree in modules():
        top = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        found = {
            t.removeprefix("medbench.").replace(".", "/") for t in imports(top) if t.startswith("medbench.")
        }
        graph[name] = (found & names) - {name, room(name)}
    seen: dict[str, int] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path, name])
        if name not in seen:
            for other in graph.get(name, ()):
                visit(other, (*path, name))
            seen[name] = 1

    for name in graph:
        visit(name, ())


def test_one_door_per_dependency() -> None:
    """Each heavy package is imported by one module or one room only."""
    wrong = []
    for name, tree in modules():
        for target in imports(tree):
            doors = DOORS.get(target.split(".")[0])
            if doors and not any(name == door or name.startswith(f"{door}/") for door in doors):
                wrong.append(f"{name} imports {target}")
    assert wrong == []


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function as `module:name`."""
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{name}:{node.name}", node


def test_small_rooms() -> None:
    """Modules stay under 400 lines, functions under 60, and half of them under 11."""
    long_modules = [p.name for p in PACKAGE.rglob("*.py") if len(p.read_text().splitlines()) > 400]
    lengths = {name: node.end_lineno - node.lineno + 1 for name, node in functions()}  # type: ignore[operator]
    long_functions = [name for name, n in lengths.items() if n > 60 and name not in ALLOWED_LONG]
    assert (long_modules, long_functions) == ([], [])
    assert statistics.median(lengths.values()) <= 10
    assert sorted(lengths.values())[int(0.95 * len(lengths))] <= 40


def test_few_parameters() -> None:
    """Functions outside the command line take at most seven parameters."""
    many = [
        name
        for name, node in functions()
        if not name.startswith("cli") and len(node.args.args) + len(node.args.kwonlyargs) > 7
    ]
    assert many == []


def test_help_is_light() -> None:
    """The command line imports no heavy package before it knows what to do."""
    code = "import json, sys, medbench.cli; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert HEAVY & set(loaded) == set()


def test_every_verb_is_documented_with_an_example() -> None:
    """README or the CLI page shows each verb, and its help ends with an example that uses it."""
    import typer

    from docs.generate import commands
    from medbench.cli import app

    prose = (ROOT / "README.md").read_text() + (ROOT / "docs" / "cli.md").read_text()
    for name, command in commands(typer.main.get_command(app)):
        assert f"medbench {name}" in prose
        assert f"Example: medbench {name}" in (command.help or "")


def test_generated_docs_are_current() -> None:
    """docs/cli.md and docs/benchmarks.md are what the program says today."""
    code = "from docs.generate import pages; import json; print(json.dumps(pages()))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT, env=environment)
    for name, text in json.loads(out).items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, f"run: make docs ({name})"


@pytest.mark.parametrize("name", [name for name, tree in modules() if ">>> " in ast.unparse(tree)])
def test_docstring_examples_hold(name: str) -> None:
    """Every example in a docstring gives what it says."""
    module = importlib.import_module(f"medbench.{name.replace('/', '.')}")
    found = doctest.testmod(module)
    assert found.attempted and not found.failed


def test_catalog_at_the_root_is_the_packaged_one() -> None:
    """catalog.yaml is visible at the front door and ships with the package."""
    assert (ROOT / "catalog.yaml").resolve() == (PACKAGE / "catalog.yaml").resolve()


@pytest.mark.slow
def test_wheel_holds_only_medbench(tmp_path: Path) -> None:
    """Installing puts nothing but `medbench` on a machine, with its tables inside."""
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path),
        str(ROOT),
    ]
    subprocess.run(command, check=True, capture_output=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"medbench"}
    for needed in (
        "catalog.yaml",
        "prompts.yaml",
        "py.typed",
        "data/starter.jsonl",
        "trainers/recipes/alphamed.yaml",
    ):
        assert f"medbench/{needed}" in names


def test_light_install_has_no_torch() -> None:
    """`pip install medbench` asks for neither torch nor a training library."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    light = " ".join(project["dependencies"])
    assert not re.search(r"\b(torch|transformers|trl|accelerate|peft|lm-eval)\b", light)


def test_nothing_of_one_machine_is_committed() -> None:
    """No file names a path of one machine or the address of a package registry."""
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT)
    if listed.returncode:
        pytest.skip("not a git checkout")
    pattern = re.compile(r"/(?:work|root|farm)/[a-z]|pypi\.org|pythonhosted|registry\.npmjs|deb\.debian")
    wrong = []
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and not path.is_symlink() and name != "tests/test_house.py":
            wrong += [name] if pattern.search(path.read_text(encoding="utf-8", errors="ignore")) else []
    assert wrong == []
