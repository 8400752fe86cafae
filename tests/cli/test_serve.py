"""``mockanka serve``: what it serves, what it refuses, and with which status it ends."""

import socket
from pathlib import Path

import pytest

from mockanka.cli.serve import serve_command
from mockanka.scenario import Options
from tests.cli.invoke import call, call_serve, run_process


def test_without_options_the_scenario_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Options that are not set are left to the scenario, and the default port is 8090."""
    served = call_serve(monkeypatch, "--port", "0")

    assert Options() == served.options
    assert ["mini-01", "mini-02"] == [node.name for node in served.simulator.controller.nodes.values()]
    assert 8090 == next(param.default for param in serve_command.params if param.name == "port")


def test_scenario_host_and_port_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """MOCKANKA_SCENARIO, MOCKANKA_HOST and MOCKANKA_PORT replace the argument and the options."""
    served = call_serve(monkeypatch, MOCKANKA_SCENARIO="fleet", MOCKANKA_HOST="127.0.0.2", MOCKANKA_PORT="0")

    assert 100 == len(served.simulator.controller.nodes)
    assert "127.0.0.2" == served.address[0]


def test_an_invalid_scenario_is_refused_with_file_and_line(tmp_path: Path) -> None:
    """``serve`` and ``validate`` name file, line, key and the nearest valid key, and end with status 2."""
    file = tmp_path / "invalid.yaml"
    file.write_text("seed: 1\nnodes:\n  - {name: a, capacty: 3}\n")
    expected = f"{file}:3: nodes[0].capacty: unknown key, did you mean 'capacity'?\n"

    assert [(2, "", expected)] * 2 == [
        (result.exit_code, result.stdout, result.stderr)
        for result in (call("serve", "--port", "0", str(file)), call("scenario", "validate", str(file)))
    ]


def test_a_port_in_use_is_refused_in_one_line() -> None:
    """A port that another program listens on ends with status 2, and one line that says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = call("serve", "--port", str(port))

    assert (2, "", 1) == (result.exit_code, result.stdout, result.stderr.count("\n"))
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in result.stderr
    assert "--port 0 takes a free one" in result.stderr


def test_a_control_port_that_is_the_port_is_refused() -> None:
    """Two sockets cannot listen on the same port, so the command ends with status 2."""
    result = call("serve", "--port", "8097", "--control-port", "8097")

    assert (2, "", "--control-port: must differ from --port\n") == (result.exit_code, result.stdout, result.stderr)


def test_a_ready_file_without_folder_is_refused(tmp_path: Path) -> None:
    """A ready file that cannot be written is reported before anything is served."""
    file = str(tmp_path / "none" / "ready")
    done = run_process("serve", "--port", "0", "--ready-file", file)

    assert (2, f"--ready-file: there is no folder {tmp_path / 'none'}\n") == (done.returncode, done.stderr)


def test_the_ready_file_comes_from_the_environment_too(tmp_path: Path) -> None:
    """MOCKANKA_READY_FILE replaces ``--ready-file``."""
    done = run_process("serve", "--port", "0", MOCKANKA_READY_FILE=str(tmp_path / "none" / "ready"))

    assert (2, f"--ready-file: there is no folder {tmp_path / 'none'}\n") == (done.returncode, done.stderr)
