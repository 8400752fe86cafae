"""The command ``mockanka snapshot``: its output, its file, and its errors."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import mockanka
from mockanka.cli.main import main
from mockanka.scenario import Scenario


def run_snapshot(*args: str) -> Result:
    return CliRunner().invoke(main, ["snapshot", *args])


def test_the_command_writes_a_scenario(tmp_path: Path) -> None:
    """It writes the file, and nothing else beside it, or prints the same text."""
    out = tmp_path / "scenario.yaml"
    with mockanka.serve("default", clock="manual") as anka:
        written = run_snapshot(anka.url, "-o", str(out))
        printed = run_snapshot(anka.url)

    assert (0, 0) == (written.exit_code, printed.exit_code)
    assert [out] == list(tmp_path.iterdir())
    assert out.read_text("utf-8") == printed.stdout
    assert "nightly" == Scenario.find(str(out)).section.instances[0].name


def test_the_command_redacts() -> None:
    """With --redact neither names nor the address of the controller are printed."""
    with mockanka.serve("default", clock="manual") as anka:
        done = run_snapshot(anka.url, "--redact")

    assert 0 == done.exit_code
    assert [] == [word for word in ("nightly", "mini-01", "127.0.0.1", "ci.example") if word in done.stdout]


def test_a_list_with_nulls_is_read() -> None:
    """A controller with the fault of null in lists, which strict clients cannot read, has a snapshot."""
    with mockanka.serve("null-in-list", clock="manual") as anka:
        done = run_snapshot(anka.url)
    (instance,) = Scenario.from_yaml(done.stdout).section.instances

    assert ("Started", "vanilla", "somebody-else") == (instance.state, instance.tag, instance.name)
    assert [None] * 2 == [instance.vm, instance.external_id]


def closed_port() -> int:
    """Return a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["not a url"], "is not the URL of a controller"),
        (["http://127.0.0.1:PORT"], "nothing listens at 127.0.0.1 port"),
        (["http://127.0.0.1:PORT", "-o", "nowhere/at/all.yaml"], "there is no folder"),
        (["http://127.0.0.1:PORT", "--release", "new"], "--release"),
        (["http://127.0.0.1:PORT", "--header", "X"], "is not a header"),
        (["http://127.0.0.1:PORT", "--timeout", "0"], "is no time"),
        (["https://127.0.0.1:PORT", "--ca", "nowhere.pem"], "--ca: there is no file nowhere.pem"),
    ],
)
def test_an_unusable_argument_ends_with_2(args: list[str], complaint: str) -> None:
    """The reason is on standard error, and nothing on standard output."""
    port = str(closed_port())
    done = run_snapshot(*(arg.replace("PORT", port) for arg in args))

    assert (2, "") == (done.exit_code, done.stdout)
    assert complaint in done.stderr


def test_a_failed_snapshot_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """The file is written completely or not at all."""
    out = tmp_path / "scenario.yaml"
    out.write_text("seed: 1\n", "utf-8")
    done = run_snapshot(f"http://127.0.0.1:{closed_port()}", "-o", str(out))

    assert 2 == done.exit_code
    assert ("seed: 1\n", [out]) == (out.read_text("utf-8"), list(tmp_path.iterdir()))


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Its name is too long."""
    out = tmp_path / ("x" * 300)
    with mockanka.serve("default", clock="manual") as anka:
        done = run_snapshot(anka.url, "-o", str(out))

    assert 2 == done.exit_code
    assert f"{out} cannot be written: File name too long" in done.stderr
