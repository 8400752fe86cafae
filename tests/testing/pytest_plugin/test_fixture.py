"""The ``anka`` fixture and its marker."""

from __future__ import annotations

import re

import pytest

from tests.testing.pytest_plugin.suite import Suite


def test_the_fixture_works_without_any_configuration(pytester: pytest.Pytester) -> None:
    """A suite that only has the package installed gets a controller; warnings are errors, markers strict."""
    suite = Suite(pytester).write(
        "test_it.py",
        """
        @pytest.mark.anka(seed=3)
        def test_started(anka):
            id = start(anka)
            for _ in range(20):
                if state(anka, id) == "Started":
                    break
            assert state(anka, id) == anka.instances[id].state == "Started"
            assert anka.clock.mode == "step"
            assert sorted(node.name for node in anka.nodes.values()) == ["mini-01", "mini-02"]
        """,
    )
    run = suite.run_process("-W", "error", "--strict-markers", "--strict-config")

    assert run.counted(passed=1), run.output


def test_each_test_has_the_state_of_the_scenario(suite: Suite) -> None:
    """The URL is that of the session; instances, faults, journal and clock are those of the scenario."""
    suite.write(
        "test_it.py",
        """
        urls = set()

        @pytest.mark.parametrize("turn", range(3))
        def test_fresh(anka, anka_server, turn):
            assert anka is anka_server
            assert [one.name for one in anka.instances.values()] == ["nightly"]
            assert (list(anka.requests), list(anka.faults), list(anka.events)) == ([], [], [])
            assert anka.clock.now.isoformat() == "2024-01-01T00:00:00+00:00"
            assert anka.nodes["mini-01"].state == "Active"
            urls.add(anka.url)
            assert len(urls) == 1
            start(anka)
            anka.faults.add(do={"status": 503})
            anka.node("mini-01", "offline", at_once=True)
            anka.clock.advance("1h")
            anka.load("fleet")
        """,
    )
    run = suite.run("-W", "error")

    assert run.counted(passed=3), run.output


def test_the_server_ends_with_the_session(suite: Suite) -> None:
    """After the last test none of its threads is left, and nothing listens."""
    suite.write(
        "conftest.py",
        """
        import socket
        import threading

        kept = {}

        @pytest.fixture(autouse=True)
        def remember(anka):
            kept["url"] = anka.url

        def pytest_unconfigure():
            names = [each.name for each in threading.enumerate()]
            port = int(kept["url"].rpartition(":")[2])
            with socket.socket() as one:
                print("LEFT", names, one.connect_ex(("127.0.0.1", port)) != 0)
        """,
    ).write("test_it.py", "def test_nothing(): pass\n")
    run = suite.run_process("-s")

    assert "LEFT ['MainThread'] True" in run.output


def test_the_marker_sets_scenario_and_options(suite: Suite) -> None:
    """Scenario, clock, speed, step, release and seed are set for one test, and not for the next."""
    suite.write(
        "test_it.py",
        """
        from datetime import timedelta

        def settings(anka):
            dump = anka.dump()
            clock = dump["clock"]
            return dump["seed"], dump["controller"]["release"], clock["mode"], clock["speed"], clock["step"]

        @pytest.mark.anka(scenario="busy", clock="manual", release="1.24.0", seed=7, speed=60, step="9s")
        def test_all(anka):
            assert settings(anka) == (7, "1.24.0", "manual", 60, "9s")
            assert len(anka.nodes) == 3
            anka.reset()
            assert settings(anka) == (7, "1.24.0", "manual", 60, "9s")

        def test_none(anka):
            assert settings(anka) == (0, "1.50.1", "step", 1, "5s")
            assert len(anka.nodes) == 2

        @pytest.mark.anka(scenario={"nodes": [{"name": "mine"}]}, step=timedelta(seconds=2))
        def test_data(anka):
            assert [node.name for node in anka.nodes.values()] == ["mine"]
            before = anka.clock.now
            ask(anka, "GET")
            assert anka.clock.now - before == timedelta(seconds=2)

        @pytest.mark.anka(clock="real", speed=1e6)
        def test_real(anka):
            assert anka.clock.mode == "real"

        @pytest.mark.anka(clock="manual")
        class TestMerged:
            @pytest.mark.anka(seed=5)
            def test_both(self, anka):
                assert settings(anka) == (5, "1.50.1", "manual", 1, "5s")

            @pytest.mark.anka(clock="real")
            def test_nearest_counts(self, anka):
                assert anka.clock.mode == "real"
        """,
    )
    run = suite.run("--strict-markers", "-W", "error")

    assert run.counted(passed=6), run.output


def test_a_seed_gives_the_same_ids_again(suite: Suite) -> None:
    """Ids are the same in each test, and in the next session."""
    suite.write("test_it.py", "@pytest.mark.anka(seed=7)\ndef test_it(anka):\n    print('ID', start(anka))\n")
    suite.write("test_two.py", "@pytest.mark.anka(seed=7)\ndef test_it(anka):\n    print('ID', start(anka))\n")
    output = suite.run("-s").output + suite.run_process("-s").output

    assert 4 == len(re.findall(r"ID \S+", output))
    assert 1 == len(set(re.findall(r"ID \S+", output)))


def test_the_marker_is_listed(suite: Suite) -> None:
    """``pytest --markers`` prints its keys."""
    run = suite.run("--markers")

    assert "@pytest.mark.anka(scenario=, clock=, speed=, step=, release=, seed=, strict=)" in run.output
    for setting in ("anka_scenario", "anka_release", "anka_strict"):
        assert setting in suite.run("--help").output


WRONG = {
    "scnario='busy'": "anka takes scenario, clock, speed, step, release, seed, strict, by name; not scnario",
    "'busy'": "anka takes scenario, clock, speed, step, release, seed, strict, by name; not 'busy'",
    "scenario='busi'": "busi: there is no such file, and no shipped scenario: did you mean 'busy'?",
    "scenario={'nodes': [{'nam': 'x'}]}": "nodes[0].nam: unknown key, did you mean 'name'?",
    "clock='manul'": "the anka fixture cannot begin: 'manul' is no clock: did you mean 'manual'?",
    "release='x'": "the anka fixture cannot begin: 'x' is no release",
    "strict='leak'": "anka_strict: 'leak' is no kind of finding: there are leaks, double-starts",
    "speed='fast'": "the anka fixture cannot begin: ",
}


def test_a_wrong_marker_is_a_short_failure(suite: Suite) -> None:
    """Each error names the mistake and shows no traceback through the plugin; the tests after it run."""
    lines = [f"@pytest.mark.anka({wrong})\ndef test_{n}(anka): pass\n" for n, wrong in enumerate(WRONG)]
    suite.write("test_it.py", "".join(lines) + "def test_right(anka): assert len(anka.nodes) == 2\n")
    run = suite.run()

    assert run.counted(passed=1, errors=len(WRONG)), run.output
    for message in WRONG.values():
        assert message in run.output
    assert "pytest_plugin.py" not in run.output
    assert "Traceback" not in run.output


def test_a_wrong_strict_is_a_short_failure(suite: Suite) -> None:
    """``strict=7`` is an error without a traceback."""
    suite.write("test_it.py", "@pytest.mark.anka(strict=7)\ndef test_it(anka): pass\n")
    run = suite.run()

    assert run.counted(errors=1), run.output
    assert "AttributeError" not in run.output
    assert "pytest_plugin.py" not in run.output
