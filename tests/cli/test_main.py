"""The command ``mockanka`` itself: its version, its help, and what it loads."""

import subprocess
import sys

import pytest

from mockanka import __version__
from tests.cli.invoke import call


def test_version_is_the_packages() -> None:
    """``--version`` prints the program and its version."""
    assert f"mockanka, version {__version__}\n" == call("--version").stdout


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["serve"],
        ["run"],
        ["scenario"],
        ["scenario", "validate"],
        ["openapi"],
        ["releases"],
        ["fidelity"],
        ["check"],
        ["proxy"],
        ["snapshot"],
    ],
)
def test_every_command_has_help(command: list[str]) -> None:
    """``--help`` and ``-h`` print the same help for every command."""
    long, short = call(*command, "--help"), call(*command, "-h")

    assert (0, long.stdout) == (short.exit_code, short.stdout)
    assert "Usage: " in long.stdout


def test_help_loads_no_heavy_library() -> None:
    """Help is printed without loading the libraries that serving needs."""
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


def test_the_package_runs_as_a_program() -> None:
    """``python -m mockanka`` is the command ``mockanka``."""
    done = subprocess.run([sys.executable, "-m", "mockanka", "--version"], capture_output=True, text=True, check=True)

    assert f"mockanka, version {__version__}\n" == done.stdout
