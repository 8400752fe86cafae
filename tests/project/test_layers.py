"""What may import what: read from the source, and seen in fresh interpreters."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import mockanka

ROOT = Path(mockanka.__file__).parent
FILES = {
    ".".join(("mockanka", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
CORE = [name for name in FILES if name.startswith("mockanka.core.")]
LAYERS = [
    ["mockanka", "mockanka.bounded", "mockanka.json_text", "mockanka.resources", "mockanka.serving", "mockanka.units"],
    ["mockanka.core"],
    ["mockanka.scenario"],
    ["mockanka.api"],
    ["mockanka.simulator"],
    ["mockanka.control"],
    ["mockanka.server"],
    ["mockanka.testing"],
    ["mockanka.contract"],
    ["mockanka.remote"],
    ["mockanka.recording"],
    ["mockanka.check", "mockanka.snapshot", "mockanka.proxy"],
    ["mockanka.cli"],
    ["mockanka.__main__"],
]
"""From the bottom up; a name stands for itself and, if it is a package, for all in it."""


def layer_of(module: str) -> int:
    """The layer that the module, or the package it is in, stands in."""
    parts = module.split(".")
    while len(parts) > 1 or module == "mockanka":
        name = ".".join(parts)
        for index, names in enumerate(LAYERS):
            if name in names:
                return index
        parts.pop()
    raise LookupError(module)


def statements(tree: ast.AST, runtime: bool) -> Iterator[ast.stmt]:
    """All import statements; at run time without those that are there for type checkers alone."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif runtime and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for other in child.orelse:
                yield from statements(other, runtime)
        else:
            yield from statements(child, runtime)


def imports(module: str, runtime: bool = False) -> set[str]:
    """The modules of mockanka that a module imports, wherever in it."""
    found = set()
    for statement in statements(ast.parse(FILES[module].read_text("utf-8")), runtime):
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        else:
            assert isinstance(statement, ast.ImportFrom)
            assert 0 == statement.level, f"{module} imports relatively"
            below = [f"{statement.module}.{alias.name}" for alias in statement.names]
            names = [name if name in FILES else str(statement.module) for name in below]
        found |= {name for name in names if name in FILES}
    return found - {module}


def loaded_by(*modules: str) -> set[str]:
    """What a fresh interpreter has loaded once it has imported these."""
    program = f"import sys, json, {', '.join(modules)}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_the_core_loads_no_library() -> None:
    """All modules of the core together load neither flask nor marshmallow nor yaml."""
    assert not loaded_by(*CORE) & {"flask", "werkzeug", "marshmallow", "yaml", "uvicorn", "click"}


def test_scenarios_load_no_flask() -> None:
    """Reading a scenario needs no web framework."""
    assert not loaded_by("mockanka.scenario") & {"flask", "werkzeug", "uvicorn"}


def test_the_command_line_loads_only_what_it_needs() -> None:
    """Asking for help need not wait for what only some command needs."""
    assert not loaded_by("mockanka.cli.main") & {
        *("flask", "werkzeug", "marshmallow", "yaml", "uvicorn"),
        *("httpx", "jsonschema", "rich", "junitparser"),
    }


@pytest.mark.parametrize("module", FILES)
def test_imports_run_one_way(module: str) -> None:
    """A module imports from its own layer or from one below, never from above."""
    # What the package offers by name it imports when it is asked for; its types are for type checkers alone.
    above = {name for name in imports(module, runtime=module == "mockanka") if layer_of(name) > layer_of(module)}

    assert set() == above


CORE_NEEDS = {"mockanka.bounded", "mockanka.units"}


@pytest.mark.parametrize("module", CORE)
def test_the_core_leans_on_nothing_but_itself_and_the_bottom(module: str) -> None:
    """A module of the core imports from mockanka only what is in the core, the units and the bounded dictionary."""
    assert {name for name in imports(module) if not name.startswith("mockanka.core")} <= CORE_NEEDS


CONTRACT = [name for name in FILES if layer_of("mockanka.contract") <= layer_of(name) < layer_of("mockanka.cli")]
"""What compares a controller with the contract, from the document to the commands."""


@pytest.mark.parametrize("module", CONTRACT)
def test_the_contract_knows_of_the_simulator_only_its_releases(module: str) -> None:
    """The contract imports of mockanka's the releases and the bottom layer; a snapshot, scenarios as well."""
    allowed = {*CONTRACT, *LAYERS[0], "mockanka.core.release"}
    if module.startswith("mockanka.snapshot"):
        allowed |= {"mockanka.scenario", "mockanka.core.lifecycle", "mockanka.core.license"}  # it writes scenarios

    assert set() == imports(module) - allowed


def test_the_simulator_never_reads_the_contract() -> None:
    """Whoever imports the contract is part of it, or belongs to the command line."""
    readers = {name for name in FILES if imports(name) & set(CONTRACT)} - set(CONTRACT)

    assert readers
    assert all(name.startswith("mockanka.cli.") for name in readers)


PACKAGES = [name for name, path in FILES.items() if path.name == "__init__.py" and name != "mockanka"]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_of_a_package_import_each_other(package: str) -> None:
    """The imports that count at run time make no circle."""
    graph = {
        name: {other for other in imports(name, runtime=True) if other.startswith(f"{package}.")}
        for name in FILES
        if name.startswith(f"{package}.")
    }
    order = list(TopologicalSorter(graph).static_order())

    assert sorted(graph) == sorted(order)


@pytest.mark.parametrize("module", FILES)
def test_every_module_says_what_it_is_for(module: str) -> None:
    """Each module begins with a docstring."""
    assert ast.get_docstring(ast.parse(FILES[module].read_text("utf-8")))


def test_the_layers_name_only_what_there_is() -> None:
    """Every name in the table of layers is a module or a package."""
    assert {name for names in LAYERS for name in names} <= FILES.keys()
