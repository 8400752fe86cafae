"""Names and docstrings of the package and its tests: read from the source, counted, and kept within bounds."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

import mockanka

PACKAGE = Path(mockanka.__file__).parent
TESTS = Path(__file__).parents[1]
MODULES = sorted(PACKAGE.rglob("*.py"))
TEST_MODULES = sorted(TESTS.rglob("*.py"))

MAX_SHARED_NAMES = 19
"""Number of public names that may be defined in several modules; there were 120."""

VAGUE_STARTS = re.compile(r"(The same|What|Whom?|Whose|Whether)\b")
VAGUE_VARIABLES = frozenset({"one", "of", "each", "mine"})


class Line(NamedTuple):
    """A text of a source file, and the number of the line where it begins."""

    number: int
    text: str


def top_level_statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements of a module, also those inside of ``if``, ``try`` and ``with``."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With):
            for field in ("body", "orelse", "finalbody"):
                yield from top_level_statements(getattr(statement, field, []))
            for handler in getattr(statement, "handlers", []):
                yield from top_level_statements(handler.body)


def assigned_names(target: ast.expr) -> Iterator[str]:
    """Yield the names that an assignment to a target defines."""
    match target:
        case ast.Name(id=name):
            yield name
        case ast.Tuple(elts=targets) | ast.List(elts=targets):
            for element in targets:
                yield from assigned_names(element)
        case ast.Starred(value=value):
            yield from assigned_names(value)


def top_level_names(source: str) -> Iterator[str]:
    """Yield the functions, classes and variables that a module defines; imported names are defined elsewhere."""
    for statement in top_level_statements(ast.parse(source).body):
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                for target in targets:
                    yield from assigned_names(target)
            case ast.AnnAssign(target=target):
                yield from assigned_names(target)


def shared_names(sources: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the public names that are defined in more than one module, with these modules."""
    modules_by_name = defaultdict(list)
    for module, source in sources.items():
        for name in {*top_level_names(source)}:
            if not name.startswith("_"):
                modules_by_name[name].append(module)
    return {name: modules for name, modules in sorted(modules_by_name.items()) if len(modules) > 1}


def docstrings(source: str) -> Iterator[Line]:
    """Yield the docstrings of the module, its classes and functions, and the texts that follow an assignment."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        documented = [isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)]
        documented += [isinstance(statement, ast.Assign | ast.AnnAssign) for statement in body]
        for is_documented, statement in zip(documented, body, strict=False):
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))) if is_documented:
                    yield Line(statement.lineno, text.strip())


def variables(source: str) -> Iterator[Line]:
    """Yield the variables, fields, parameters and aliases of a module, each where it is bound."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield Line(node.lineno, name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield Line(node.lineno, name)
            case ast.MatchMapping(rest=str(name)):
                yield Line(node.lineno, name)
            case ast.alias(asname=str(name)):
                yield Line(node.lineno, name)


def vague_texts(source: str) -> list[str]:
    """Return a line for each docstring and variable that cannot be understood without its neighbours."""
    vague = [
        f"line {number}: docstring {text.splitlines()[0]!r}"
        for number, text in docstrings(source)
        if VAGUE_STARTS.match(text)
    ]
    return vague + [
        f"line {number}: variable {name!r}" for number, name in variables(source) if name in VAGUE_VARIABLES
    ]


def read_sources(paths: Iterable[Path]) -> dict[str, str]:
    """Return the text of each file of the package by its path within it."""
    return {path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8") for path in paths}


def path_id(path: Path) -> str:
    """Return the id of a test for a file."""
    return path.relative_to(TESTS if path.is_relative_to(TESTS) else PACKAGE).as_posix()


# The package and its tests.


def test_a_public_name_is_defined_in_one_module() -> None:
    """Hardly any public function, class or constant has the name of another one elsewhere in the package."""
    shared = shared_names(read_sources(MODULES))

    assert len(shared) <= MAX_SHARED_NAMES, "\n".join(
        f"{name}: {', '.join(modules)}" for name, modules in shared.items()
    )


@pytest.mark.parametrize("path", MODULES, ids=path_id)
def test_names_and_docstrings_of_a_module_are_understood_alone(path: Path) -> None:
    """A docstring begins with a verb or a noun, and a variable is named for what it holds."""
    assert [] == vague_texts(path.read_text("utf-8"))


@pytest.mark.parametrize("path", TEST_MODULES, ids=path_id)
def test_names_and_docstrings_of_tests_are_understood_alone(path: Path) -> None:
    """In tests and their helpers, too, a docstring is a claim or a noun, and a variable is named for what it holds."""
    assert [] == vague_texts(path.read_text("utf-8"))


# The search itself.


def test_all_modules_are_read() -> None:
    """The search covers the package and the tests, this file included."""
    assert {"__init__.py", "units.py", "core/controller.py", "cli/main.py"} <= {path_id(path) for path in MODULES}
    assert {"conftest.py", "project/test_names.py"} <= {path_id(path) for path in TEST_MODULES}


def test_names_in_two_modules_are_found() -> None:
    """Functions, classes and constants count, also conditional ones and those of a tuple."""
    sources = {
        "a.py": "def run(): ...\nLIMIT = 1\nclass Thing: ...\nif True:\n    Header = str\nA, (B, *C) = 1, (2, 3)\n",
        "b.py": "async def run(): ...\nLIMIT: int = 2\ntry:\n    import x\nexcept ImportError:\n    Header = int\n",
        "c.py": "class Thing: ...\nB = 1\nC = 2\nA = B\n",
    }

    assert {
        "A": ["a.py", "c.py"],
        "B": ["a.py", "c.py"],
        "C": ["a.py", "c.py"],
        "Header": ["a.py", "b.py"],
        "LIMIT": ["a.py", "b.py"],
        "Thing": ["a.py", "c.py"],
        "run": ["a.py", "b.py"],
    } == shared_names(sources)


def test_names_that_are_not_shared_are_not_found() -> None:
    """Private names, imports, local names, methods, and a second definition in one module do not count."""
    sources = {
        "a.py": "from b import LIMIT\n_x = 1\nTWICE = 1\nTWICE = 2\ndef f():\n    local = 1\n    def g(): ...\n",
        "b.py": "LIMIT = 1\n_x = 2\nclass C:\n    local = 2\n    def g(self): ...\n    def f(self): ...\n",
    }

    assert {} == shared_names(sources)


VAGUE = {
    "a module": ('"""What it is."""\n', ["line 1: docstring 'What it is.'"]),
    "a function": ('def f():\n    """Whether it is."""\n', ["line 2: docstring 'Whether it is.'"]),
    "a coroutine": ('async def f():\n    """The same, later."""\n', ["line 2: docstring 'The same, later.'"]),
    "a class": ('class C:\n    """\n    Who asks.\n    """\n', ["line 2: docstring 'Who asks.'"]),
    "a method": ('class C:\n    def f(self):\n        """What: all."""\n', ["line 3: docstring 'What: all.'"]),
    "a constant": ('X = 1\n"""Whose it is."""\n', ["line 2: docstring 'Whose it is.'"]),
    "a field": ('class C:\n    x: int = 1\n    """Whether it is."""\n', ["line 3: docstring 'Whether it is.'"]),
    "a variable": ("one = 1\n", ["line 1: variable 'one'"]),
    "a loop": ("for each in x: ...\n", ["line 1: variable 'each'"]),
    "a comprehension": ("y = [one for one in x]\n", ["line 1: variable 'one'"]),
    "a tuple": ("a, mine = x\n", ["line 1: variable 'mine'"]),
    "a parameter": ("def f(of): ...\n", ["line 1: variable 'of'"]),
    "a keyword parameter": ("def f(*, of=1): ...\n", ["line 1: variable 'of'"]),
    "a lambda": ("f = lambda one: 1\n", ["line 1: variable 'one'"]),
    "a walrus": ("if (one := x): ...\n", ["line 1: variable 'one'"]),
    "a context": ("with x as one: ...\n", ["line 1: variable 'one'"]),
    "an error": ("try: ...\nexcept E as one: ...\n", ["line 2: variable 'one'"]),
    "an alias": ("import x as one\n", ["line 1: variable 'one'"]),
    "a pattern": (
        "match x:\n    case [one, *each]: ...\n    case {'a': 1, **mine}: ...\n",
        ["line 2: variable 'each'", "line 2: variable 'one'", "line 3: variable 'mine'"],
    ),
}


@pytest.mark.parametrize("form", VAGUE)
def test_a_vague_text_is_found(form: str) -> None:
    """In whatever form it stands, a vague docstring or variable is reported with its line."""
    source, expected = VAGUE[form]

    assert expected == sorted(vague_texts(source))


CLEAR = {
    "docstrings": '"""Names."""\ndef f():\n    """Return what it is."""\n',
    "a word that begins like another": 'X = 1\n"""Whole numbers, whatever the base."""\n',
    "a text that documents nothing": 'def f():\n    g()\n    """What it is."""\n',
    "a value": 'x = "What it is."\ny = ("one", "each")\n',
    "a use": "print(one, each.of, f(mine=1))\n",
    "a longer name": "one_day = each_node = 1\n",
}


@pytest.mark.parametrize("form", CLEAR)
def test_a_clear_text_is_not_reported(form: str) -> None:
    """Other docstrings, strings and names pass."""
    assert [] == vague_texts(CLEAR[form])
