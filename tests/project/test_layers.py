"""The direction of imports: read from the source, and seen in fresh interpreters."""

import ast
import json
import subprocess
import sys
from collections.abc import Collection, Iterator
from graphlib import CycleError, TopologicalSorter
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
    [
        "mockanka",
        "mockanka.bounded",
        "mockanka.json_text",
        "mockanka.output_files",
        "mockanka.redaction",
        "mockanka.resources",
        "mockanka.serving",
        "mockanka.shown_text",
        "mockanka.units",
    ],
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
"""The layers from the bottom up. A name stands for a module, or for a package and all modules in it."""


def layer_of(module: str) -> int:
    """Return the index of the layer of a module: its own in LAYERS, or that of the nearest package around it."""
    parts = module.split(".")
    while len(parts) > 1 or module == "mockanka":
        name = ".".join(parts)
        for index, names in enumerate(LAYERS):
            if name in names:
                return index
        parts.pop()
    raise LookupError(module)


def import_statements(tree: ast.AST, runtime: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield all import statements; with ``runtime`` without those for type checkers alone."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif runtime and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for statement in child.orelse:
                yield from import_statements(ast.Module([statement], []), runtime)
        else:
            yield from import_statements(child, runtime)


def imports(module: str, runtime: bool = False) -> set[str]:
    """Return the modules of mockanka that a module imports, at its top or inside of functions."""
    imported = set()
    for statement in import_statements(ast.parse(FILES[module].read_text("utf-8")), runtime):
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        else:
            assert 0 == statement.level, f"{module} imports relatively"
            qualified = [f"{statement.module}.{alias.name}" for alias in statement.names]
            names = [name if name in FILES else str(statement.module) for name in qualified]
        imported |= {name for name in names if name in FILES}
    return imported - {module}


def loaded_by(*modules: str) -> set[str]:
    """Return the names of the top-level packages that a fresh interpreter has loaded after importing the modules."""
    program = f"import sys, json, {', '.join(modules)}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return {name.partition(".")[0] for name in json.loads(done.stdout)}


def test_the_core_loads_no_library() -> None:
    """All modules of the core together load neither flask nor marshmallow nor yaml."""
    assert not loaded_by(*CORE) & {"flask", "werkzeug", "marshmallow", "yaml", "uvicorn", "click"}


def test_scenarios_load_no_flask() -> None:
    """Scenarios are read without a web framework."""
    assert not loaded_by("mockanka.scenario") & {"flask", "werkzeug", "uvicorn"}


def test_the_command_line_loads_only_what_it_needs() -> None:
    """Help is printed without loading libraries that only some commands need."""
    assert not loaded_by("mockanka.cli.main") & {
        *("flask", "werkzeug", "marshmallow", "yaml", "uvicorn"),
        *("httpx", "jsonschema", "rich", "junitparser"),
    }


@pytest.mark.parametrize("module", FILES)
def test_imports_run_one_way(module: str) -> None:
    """A module imports from its own layer or from one below, never from above, for type checkers neither."""
    # The package imports its public names when they are used first; their types are for type checkers alone.
    above = {name for name in imports(module, runtime=module == "mockanka") if layer_of(name) > layer_of(module)}

    assert set() == above


CORE_NEEDS = {"mockanka.bounded", "mockanka.units"}


@pytest.mark.parametrize("module", CORE)
def test_the_core_imports_only_itself_and_the_lowest_layer(module: str) -> None:
    """A module of the core imports from mockanka only what is in the core, the units and the bounded dictionary."""
    assert {name for name in imports(module) if not name.startswith("mockanka.core")} <= CORE_NEEDS


CONTRACT = [name for name in FILES if layer_of("mockanka.contract") <= layer_of(name) < layer_of("mockanka.cli")]
"""The modules that compare a controller with the contract, from the document to the commands."""


@pytest.mark.parametrize("module", CONTRACT)
def test_the_contract_imports_of_the_core_only_its_releases(module: str) -> None:
    """The contract does not depend on the simulator; only a snapshot imports scenarios and some of the core's terms."""
    allowed = {*CONTRACT, *LAYERS[0], "mockanka.core.release"}
    if module.startswith("mockanka.snapshot"):
        # It writes scenarios.
        allowed |= {"mockanka.scenario", *(f"mockanka.core.{name}" for name in ("lifecycle", "license", "vms"))}

    assert set() == imports(module) - allowed


def test_the_simulator_never_reads_the_contract() -> None:
    """Only the contract's own modules and the command line import the contract."""
    importers = {name for name in FILES if imports(name) & set(CONTRACT)} - set(CONTRACT)

    assert importers
    assert all(name.startswith("mockanka.cli.") for name in importers)


PACKAGES = [name for name, path in FILES.items() if path.name == "__init__.py" and name != "mockanka"]
NAMED_IN_ANNOTATIONS = {
    "mockanka.core.controller": "operations and events of all entities take the controller as a parameter",
    "mockanka.core.instance_record": "instances refer to pulls, VMs and scripts, whose functions take an instance",
    "mockanka.core.nodes": "nodes refer to pulls and USB devices, whose functions take a node",
}
"""Modules that others of their package import for type checkers alone, and why that may make a circle."""


def package_graph(package: str) -> dict[str, set[str]]:
    """Return the imports within a package that count at run time."""
    return {
        name: {imported for imported in imports(name, runtime=True) if imported.startswith(f"{package}.")}
        for name in FILES
        if name.startswith(f"{package}.")
    }


def annotation_graph(package: str, left_out: Collection[str]) -> dict[str, set[str]]:
    """Return all imports within a package, without those of some modules for type checkers alone."""
    return {
        name: runtime | {imported for imported in imports(name) if imported.startswith(f"{package}.")} - {*left_out}
        for name, runtime in package_graph(package).items()
    }


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """Return modules that import each other in a circle, none if there is no circle."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_of_a_package_import_each_other(package: str) -> None:
    """The imports that count at run time make no circle."""
    assert [] == circle_in(package_graph(package))


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_for_type_checkers_make_no_circle_either(package: str) -> None:
    """Only the listed modules may be named in annotations against the order of a package."""
    assert [] == circle_in(annotation_graph(package, NAMED_IN_ANNOTATIONS))


@pytest.mark.parametrize("module", NAMED_IN_ANNOTATIONS)
def test_each_exception_for_annotations_is_needed(module: str) -> None:
    """Without the exception for a module there is a circle."""
    others = NAMED_IN_ANNOTATIONS.keys() - {module}

    assert module in circle_in(annotation_graph(module.rpartition(".")[0], others))


def test_a_circle_is_found() -> None:
    """A circle of three modules is found, a shared import is none."""
    assert {"a", "b", "c"} == {*circle_in({"a": {"b"}, "b": {"c"}, "c": {"a"}})}
    assert [] == circle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()})


@pytest.mark.parametrize("module", FILES)
def test_every_module_has_a_docstring(module: str) -> None:
    """A module begins with a docstring that says what it is for."""
    assert ast.get_docstring(ast.parse(FILES[module].read_text("utf-8")))


def test_the_layers_name_existing_modules() -> None:
    """Every name in the table of layers is a module or a package, and so is every exception."""
    assert {name for names in LAYERS for name in names} | NAMED_IN_ANNOTATIONS.keys() <= FILES.keys()
