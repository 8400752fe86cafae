"""The command line: what it prints, what it refuses, and with which status it ends."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from mockanka import __version__, resources
from mockanka.cli.main import main
from mockanka.contract import document, fidelity_page
from mockanka.contract.releases_page import render_releases_page
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.scenario import Options, shipped
from mockanka.scenario.json_schema import json_schema
from mockanka.server import http_server
from mockanka.simulator.simulator import Simulator
from mockanka.units import SECOND


def call(*args: str, **env: str) -> Result:
    clean = {name: None for name in os.environ if name.startswith("MOCKANKA_")}
    return CliRunner().invoke(main, list(args), env={**clean, **env})


def run_process(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MOCKANKA_")}
    command = [sys.executable, "-m", "mockanka", *args]
    return subprocess.run(command, capture_output=True, text=True, env={**clean, **env}, timeout=30)


class Served(Exception):
    """Everything was in order and the server would begin."""

    def __init__(self, house: Simulator, listening: socket.socket) -> None:
        self.house = house
        self.address = listening.getsockname()
        listening.close()


def serve(monkeypatch: pytest.MonkeyPatch, *args: str, **env: str) -> Served:
    """What ``serve`` would have served."""

    def run(house: Simulator, listening: list[socket.socket], ready: Any) -> None:
        (only,) = listening
        raise Served(house, only)

    monkeypatch.setattr(http_server, "serve_simulator", run)
    result = call("serve", *args, **env)
    assert isinstance(result.exception, Served), result.output
    return result.exception


def options_of(served: Served) -> Options:
    return served.house.options


# What is printed.


def test_list_names_each_scenario_that_ships() -> None:
    """``scenario list`` has a line for each, with its name and what it is."""
    result = call("scenario", "list")
    lines = result.stdout.splitlines()

    assert shipped() == [line.split()[0] for line in lines]
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize("name", shipped())
def test_show_prints_the_file(name: str) -> None:
    """``scenario show`` prints a scenario as it ships, comments and all."""
    assert resources.find(f"scenarios/{name}.yaml").read_text("utf-8") == call("scenario", "show", name).stdout


@pytest.mark.parametrize("name", shipped())
def test_validate_is_content_with_what_ships(name: str) -> None:
    """``scenario validate`` takes files and names, and says that they are right."""
    file = str(resources.find(f"scenarios/{name}.yaml"))
    result = call("scenario", "validate", name, file)

    assert (0, f"{name}: ok\n{file}: ok\n", "") == (result.exit_code, result.stdout, result.stderr)


def test_validate_says_what_a_release_does_not_know(tmp_path: Path) -> None:
    """A scenario that is right is right; what is otherwise stands beside that."""
    file = tmp_path / "old.yaml"
    file.write_text("controller: {release: 1.12.0}\n")
    result = call("scenario", "validate", str(file))
    note = f"{file}: release 1.12.0 is not known: 1.11.1 is simulated, the nearest lower one\n"

    assert (0, f"{file}: ok\n", note) == (result.exit_code, result.stdout, result.stderr)


def test_schema_prints_the_json_schema() -> None:
    """``scenario schema`` is JSON that editors can use."""
    assert json_schema() == json.loads(call("scenario", "schema").stdout)


@pytest.mark.parametrize("release", [None, "1.8.0", "1.24", "1.51.2"])
def test_openapi_prints_the_contract_of_a_release(release: str | None) -> None:
    """``openapi`` prints the contract of the release that is asked for, of today's without one."""
    result = call("openapi", *(["--release", release] if release else []))
    expected = document.at_release(document.load_document(), Release.parse(release) if release else DEFAULT_RELEASE)

    assert (0, "") == (result.exit_code, result.stderr)
    assert expected == yaml.safe_load(result.stdout)


def test_openapi_takes_the_release_from_the_environment() -> None:
    """MOCKANKA_RELEASE chooses the contract as it chooses the controller."""
    assert call("openapi", "--release", "1.24.0").stdout == call("openapi", MOCKANKA_RELEASE="1.24.0").stdout


def test_openapi_keeps_the_order_of_the_document() -> None:
    """Keys are printed as they stand in the document, so that two contracts can be compared line by line."""
    printed = yaml.safe_load(call("openapi").stdout)

    assert ["openapi", "info", "servers", "tags", "paths", "components"] == list(printed)
    assert ["uuid", "name", "status"] == list(printed["components"]["schemas"]["VmInfo"]["properties"])[:3]


@pytest.mark.parametrize(("asked", "known"), [("1.12.3", "1.11.1"), ("1.50.7", "1.50.1"), ("99.0", "1.51.2")])
def test_openapi_of_an_unknown_release_is_the_nearest_lower_one(asked: str, known: str) -> None:
    """A release that nobody has named gets the contract of the one below, and a note on standard error."""
    result = call("openapi", "--release", asked)
    note = f"release {Release.parse(asked)} is not known: what follows is {known}, the nearest lower one\n"

    assert (0, note) == (result.exit_code, result.stderr)
    assert call("openapi", "--release", known).stdout == result.stdout


@pytest.mark.parametrize("asked", ["1.7.9", "latest", ""])
def test_openapi_of_nonsense_is_refused(asked: str) -> None:
    """What is no release, or is older than the oldest, ends the process with 2."""
    result = call("openapi", "--release", asked)

    assert (2, "") == (result.exit_code, result.stdout)
    assert "Invalid value for '--release'" in result.stderr


def test_openapi_prints_the_control_api_as_it_ships() -> None:
    """``--control`` prints the other document, whatever the release."""
    assert resources.find("openapi/control.yaml").read_text("utf-8") == call("openapi", "--control").stdout


def test_releases_prints_the_page() -> None:
    """``releases`` prints the page on releases and nothing else."""
    result = call("releases")

    assert (0, render_releases_page(), "") == (result.exit_code, result.stdout, result.stderr)


def test_fidelity_prints_the_page() -> None:
    """``fidelity`` prints the page on how things are known and nothing else."""
    result = call("fidelity")

    assert (0, fidelity_page.render_fidelity_page(), "") == (result.exit_code, result.stdout, result.stderr)


def test_version_is_the_packages() -> None:
    """``--version`` names the program and its version."""
    assert f"mockanka, version {__version__}\n" == call("--version").stdout


@pytest.mark.parametrize(
    "command",
    [[], ["serve"], ["scenario"], ["scenario", "validate"], ["openapi"], ["releases"], ["fidelity"], ["proxy"]],
)
def test_every_command_explains_itself(command: list[str]) -> None:
    """``--help`` and ``-h`` say the same, everywhere."""
    long, short = call(*command, "--help"), call(*command, "-h")

    assert (0, long.stdout) == (short.exit_code, short.stdout)
    assert "Usage: " in long.stdout


def test_help_loads_nothing_heavy() -> None:
    """Asking for help does not load what only serving needs."""
    code = (
        "import sys; from mockanka.cli.main import main; main(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}

    assert set() == loaded & {
        "flask",
        "werkzeug",
        "jinja2",
        "marshmallow",
        "yaml",
        "uvicorn",
        "uvloop",
        "httptools",
        "asyncio",
    }
    assert "mockanka" in loaded


def test_the_module_runs_as_a_program() -> None:
    """``python -m mockanka`` is the same as ``mockanka``."""
    done = subprocess.run([sys.executable, "-m", "mockanka", "--version"], capture_output=True, text=True, check=True)

    assert f"mockanka, version {__version__}\n" == done.stdout


# What is refused.


def test_a_broken_scenario_is_refused_by_file_and_line(tmp_path: Path) -> None:
    """``serve`` of a broken scenario names file, line, key and the nearest right key, and ends with 2."""
    file = tmp_path / "mine.yaml"
    file.write_text("seed: 1\nnodes:\n  - {name: a, capacty: 3}\n")
    expected = f"{file}:3: nodes[0].capacty: unknown key, did you mean 'capacity'?\n"

    assert [(2, "", expected)] * 2 == [
        (result.exit_code, result.stdout, result.stderr)
        for result in (call("serve", "--port", "0", str(file)), call("scenario", "validate", str(file)))
    ]


def test_validate_names_what_does_not_fit_together(tmp_path: Path) -> None:
    """What each key allows by itself, but the whole does not, is refused as well."""
    file = tmp_path / "misfit.yaml"
    file.write_text(
        "controller: {release: 1.8.0}\nnodes: [{name: a}]\nfaults: [{match: {event: begin}, do: {node: drain}}]\n"
    )
    result = call("scenario", "validate", str(file))

    assert (2, f"{file}:3: faults[0].do.node: release 1.8.0 knows no Drain Mode: it came with 1.32.0\n") == (
        result.exit_code,
        result.stderr,
    )


def test_validate_names_every_fault_of_every_file(tmp_path: Path) -> None:
    """All files are looked at, also those behind a broken one."""
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("nods: []\nclok: {}\n")
    two.write_text("seed: x\n")
    result = call("scenario", "validate", str(one), "default", str(two), str(tmp_path / "none.yaml"))

    assert (2, "default: ok\n") == (result.exit_code, result.stdout)
    assert [f"{one}:1", f"{one}:2", f"{two}:1", f"{tmp_path / 'none.yaml'}"] == [
        re.split(r": ", line)[0] for line in result.stderr.splitlines()
    ]


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["scenario", "show"], ["scenario", "validate"]])
def test_an_unknown_scenario_names_the_nearest(command: list[str]) -> None:
    """A name that does not ship is refused with the one that was probably meant."""
    result = call(*command, "defualt")

    assert 2 == result.exit_code
    assert "'defualt'" in result.stderr or "defualt:" in result.stderr
    assert result.stderr.endswith("did you mean 'default'?\n")


def test_a_port_that_is_taken_is_refused_in_one_line() -> None:
    """A port somebody else listens on ends the process with 2, and a line that says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = call("serve", "--port", str(port))

    assert (2, "", 1) == (result.exit_code, result.stdout, result.stderr.count("\n"))
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in result.stderr
    assert "--port 0 takes a free one" in result.stderr


def test_a_ready_file_without_folder_is_refused(tmp_path: Path) -> None:
    """A ready file that cannot be written is noticed before anything is served."""
    file = str(tmp_path / "none" / "ready")
    done = run_process("serve", "--port", "0", "--ready-file", file)

    assert (2, f"--ready-file: there is no folder {tmp_path / 'none'}\n") == (done.returncode, done.stderr)


BAD = [
    ("--port", "99999", "0<=x<=65535"),
    ("--port", "-1", "0<=x<=65535"),
    ("--port", "http", "'http'"),
    ("--release", "1.2", "older than 1.8.0"),
    ("--release", "latest", "'latest' is no release: give one like"),
    ("--step", "-5s", "'-5s' is less than nothing: time does not go back"),
    ("--step", "5", "'5' is no duration: write it like 20s, 1m30s or 250ms"),
    ("--step", "9999999h", "longer than a thousand years"),
    ("--speed", "0", "0<x<=1000000000"),
    ("--speed", "-1", "0<x<=1000000000"),
    ("--speed", "fast", "'fast'"),
    ("--speed", "nan", "nan"),
    ("--speed", "inf", "inf"),
    ("--clock", "steping", "'real', 'manual', 'step'"),
    ("--seed", "x", "'x'"),
    ("--seed", str(2**63), str(2**63)),
]


@pytest.mark.parametrize("how", ["option", "environment"])
@pytest.mark.parametrize(("option", "value", "hint"), BAD)
def test_a_bad_value_is_refused_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, how: str, option: str, value: str, hint: str
) -> None:
    """A value that makes no sense, given either way, ends the process with 2 and names the option."""
    monkeypatch.setattr(http_server, "serve_simulator", lambda house, listening, ready: listening.close())
    port = [] if option == "--port" else ["--port", "0"]
    env = {f"MOCKANKA_{option[2:].upper()}": value} if how == "environment" else {}
    result = call("serve", *port, *([option, value] if how == "option" else []), **env)

    assert (2, "") == (result.exit_code, result.stdout)
    assert f"Invalid value for '{option}'" in result.stderr
    assert hint in result.stderr


# What is served.


def test_without_options_the_scenario_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not given is left to the scenario, and the port is 8090 by default."""
    served = serve(monkeypatch, "--port", "0")

    assert Options() == options_of(served)
    assert ["mini-01", "mini-02"] == [node.name for node in served.house.controller.nodes.values()]
    assert 8090 == next(param.default for param in main.commands["serve"].params if param.name == "port")


GIVEN = {
    "--seed": ("7", "seed", 7),
    "--release": ("1.24.0", "release", Release(1, 24, 0)),
    "--clock": ("step", "clock", "step"),
    "--speed": ("60", "speed", 60.0),
    "--step": ("1m30s", "step", 90 * SECOND),
}


@pytest.mark.parametrize("option", GIVEN)
def test_each_option_is_handed_on(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    """An option means the same on the command line and in the environment."""
    value, name, expected = GIVEN[option]
    by_option = serve(monkeypatch, "--port", "0", option, value)
    by_environment = serve(monkeypatch, "--port", "0", **{f"MOCKANKA_{name.upper()}": value})

    assert [Options(**{name: expected})] * 2 == [options_of(by_option), options_of(by_environment)]


@pytest.mark.parametrize(
    ("option", "first", "second"),
    [
        ("--seed", "1", "2"),
        ("--release", "1.24.0", "1.50.1"),
        ("--clock", "step", "manual"),
        ("--speed", "2", "3"),
        ("--step", "1s", "2s"),
    ],
)
def test_an_option_beats_the_environment(monkeypatch: pytest.MonkeyPatch, option: str, first: str, second: str) -> None:
    """What stands on the command line counts, whatever the environment says."""
    variable = {f"MOCKANKA_{option[2:].upper()}": first}
    both = serve(monkeypatch, "--port", "0", option, second, **variable)

    assert options_of(serve(monkeypatch, "--port", "0", option, second)) == options_of(both)


def test_scenario_host_and_port_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """MOCKANKA_SCENARIO, MOCKANKA_HOST and MOCKANKA_PORT stand for what they are named after."""
    served = serve(monkeypatch, MOCKANKA_SCENARIO="fleet", MOCKANKA_HOST="127.0.0.2", MOCKANKA_PORT="0")

    assert 100 == len(served.house.controller.nodes)
    assert "127.0.0.2" == served.address[0]


def test_the_ready_file_comes_from_the_environment_too(tmp_path: Path) -> None:
    """MOCKANKA_READY_FILE stands for --ready-file."""
    done = run_process("serve", "--port", "0", MOCKANKA_READY_FILE=str(tmp_path / "none" / "ready"))

    assert (2, f"--ready-file: there is no folder {tmp_path / 'none'}\n") == (done.returncode, done.stderr)
