"""``mockanka scenario``: the scenarios that ship, and checks of others."""

import json
from pathlib import Path

import pytest

from mockanka import resources
from mockanka.scenario import shipped
from mockanka.scenario.json_schema import json_schema
from tests.cli.invoke import call


def test_list_names_each_scenario_that_ships() -> None:
    """``scenario list`` prints a line for each scenario, with its name and a description."""
    result = call("scenario", "list")
    lines = result.stdout.splitlines()

    assert shipped() == [line.split()[0] for line in lines]
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize("name", shipped())
def test_show_prints_the_file(name: str) -> None:
    """``scenario show`` prints a scenario as it ships, with its comments."""
    assert resources.find_resource(f"scenarios/{name}.yaml").read_text("utf-8") == call("scenario", "show", name).stdout


@pytest.mark.parametrize("name", shipped())
def test_validate_accepts_every_scenario_that_ships(name: str) -> None:
    """``scenario validate`` takes names and files, and prints ok for each."""
    file = str(resources.find_resource(f"scenarios/{name}.yaml"))
    result = call("scenario", "validate", name, file)

    assert (0, f"{name}: ok\n{file}: ok\n", "") == (result.exit_code, result.stdout, result.stderr)


def test_validate_prints_notes_on_standard_error(tmp_path: Path) -> None:
    """A scenario of an unknown release is valid; a note says which release is simulated."""
    file = tmp_path / "old.yaml"
    file.write_text("controller: {release: 1.12.3}\n")
    result = call("scenario", "validate", str(file))
    note = f"{file}: release 1.12.3 is not known: 1.12.0 is simulated, the nearest lower one\n"

    assert (0, f"{file}: ok\n", note) == (result.exit_code, result.stdout, result.stderr)


def test_validate_reports_parts_that_do_not_fit(tmp_path: Path) -> None:
    """A scenario whose keys are valid one by one, but not together, is refused."""
    file = tmp_path / "misfit.yaml"
    file.write_text(
        "controller: {release: 1.8.0}\nnodes: [{name: a}]\nfaults: [{match: {event: begin}, do: {node: drain}}]\n"
    )
    result = call("scenario", "validate", str(file))

    assert (2, f"{file}:3: faults[0].do.node: release 1.8.0 knows no Drain Mode: it came with 1.32.0\n") == (
        result.exit_code,
        result.stderr,
    )


def test_validate_reports_every_error_of_every_file(tmp_path: Path) -> None:
    """Files after an invalid one are checked too."""
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("nods: []\nclok: {}\n")
    second.write_text("seed: x\n")
    result = call("scenario", "validate", str(first), "default", str(second), str(tmp_path / "none.yaml"))

    assert (2, "default: ok\n") == (result.exit_code, result.stdout)
    assert [f"{first}:1", f"{first}:2", f"{second}:1", f"{tmp_path / 'none.yaml'}"] == [
        line.partition(": ")[0] for line in result.stderr.splitlines()
    ]


def test_schema_prints_the_json_schema() -> None:
    """``scenario schema`` prints the JSON Schema of scenarios."""
    assert json_schema() == json.loads(call("scenario", "schema").stdout)


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["scenario", "show"], ["scenario", "validate"]])
def test_an_unknown_scenario_names_the_nearest(command: list[str]) -> None:
    """An unknown name is refused with the most similar name that ships."""
    result = call(*command, "defualt")

    assert 2 == result.exit_code
    assert "'defualt'" in result.stderr or "defualt:" in result.stderr
    assert result.stderr.endswith("did you mean 'default'?\n")
