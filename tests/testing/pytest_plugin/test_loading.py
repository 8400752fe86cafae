"""Loading the plugin: xdist, collecting, imports, and switching it off."""

from __future__ import annotations

import re

import pytest

from tests.testing.pytest_plugin.suite import HEAVY, Suite


def test_each_worker_of_xdist_has_a_server_of_its_own(suite: Suite) -> None:
    """Two workers have two ports, and failures are shown as without xdist."""
    pytest.importorskip("xdist")
    suite.write(
        "test_it.py",
        """
        import os
        import pathlib

        @pytest.mark.parametrize("turn", range(8))
        def test_it(anka, turn):
            pathlib.Path(f"{os.environ['PYTEST_XDIST_WORKER']}-{turn}").write_text(anka.url)
            assert len(anka.instances) == 1
            start(anka)
            anka.load("busy")

        def test_fails(anka):
            ask(anka, "GET", "usb")
            assert 1 == 2
        """,
    )
    run = suite.run_process("-n", "2", "-W", "error", plugins=("mockanka", "xdist"))
    found = {(path.name.partition("-")[0], path.read_text()) for path in suite.folder.glob("gw*")}

    assert run.counted(passed=8, failed=1), run.output
    assert ["gw0", "gw1"] == sorted(worker for worker, _ in found)
    assert 2 == len({url for _, url in found})
    assert "mockanka: the last of 1 requests" in run.output


def test_collecting_starts_nothing(suite: Suite) -> None:
    """With ``--collect-only`` no server is started, and its modules are not imported."""
    suite.write("conftest.py", WATCHING, head="")
    suite.write("test_it.py", "@pytest.mark.anka(scenario='busi')\ndef test_it(anka): pass\n")
    run = suite.run_process("--collect-only", "--strict-markers", "-s")

    assert 0 == run.status
    assert "1 test collected" in run.output
    assert "IMPORTED []" in run.output


WATCHING = f"""
import sys

def pytest_unconfigure():
    print("IMPORTED", [name for name in {HEAVY!r} if name in sys.modules])
"""


def test_a_suite_that_does_not_use_it_imports_nothing(suite: Suite) -> None:
    """Neither passing nor failing tests import the fixture's modules, unless the suite uses it."""
    suite.write("conftest.py", WATCHING, head="")
    suite.write("test_it.py", "def test_passes(): pass\ndef test_fails():\n    assert [1] == [2]\n", head="")
    without = suite.run_process("-s")
    suite.write("test_it.py", "def test_it(anka): pass\n", head="")
    using = suite.run_process("-s")

    assert without.counted(passed=1, failed=1), without.output
    assert "IMPORTED []" in without.output
    assert f"IMPORTED {list(HEAVY)}" in using.output


def test_it_can_be_switched_off(suite: Suite) -> None:
    """With ``-p no:mockanka`` there is no fixture; without it the installed plugin is loaded."""
    suite.write("test_it.py", "def test_it(anka): pass\n")
    others = ("-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:xdist")
    enabled, disabled = (
        suite.run_process(*others, plugins=()),
        suite.run_process(*others, "-p", "no:mockanka", plugins=()),
    )

    assert enabled.counted(passed=1), enabled.output
    assert disabled.counted(errors=1), disabled.output
    assert "fixture 'anka' not found" in disabled.output


def test_the_fixtures_are_listed_with_a_description(suite: Suite) -> None:
    """``pytest --fixtures`` prints all of them, each with a line."""
    run = suite.run("--fixtures")

    for name in ("anka_server [session scope]", "anka_scenario [session scope]", "anka", "anka_module [module scope]"):
        assert re.search(rf"^{re.escape(name)} -- .*pytest_plugin\.py:\d+\n    \S+", run.output, re.MULTILINE), name
    assert "no docstring available" not in run.output
