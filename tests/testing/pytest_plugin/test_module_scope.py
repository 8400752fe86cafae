"""The fixture ``anka_module``: a controller that the tests of a module share."""

from __future__ import annotations

import re

from tests.testing.pytest_plugin.suite import Suite


def test_the_tests_of_a_module_share_a_controller(suite: Suite) -> None:
    """Instances, journal and clock go on from test to test; another module has a controller of its own."""
    text = """
        pytestmark = pytest.mark.anka(scenario="busy", clock="manual", seed=7)

        @pytest.fixture(scope="module")
        def instance(anka_module):
            yield start(anka_module, external_id="shared")
            assert 3 == len(anka_module.requests)

        def test_first(anka_module, instance):
            anka_module.clock.advance("1m")
            assert ["POST"] == [request.method for request in anka_module.requests]
            assert ("manual", 7) == (anka_module.clock.mode, anka_module.dump()["seed"])

        class TestClass:
            def test_second(self, anka_module, instance):
                assert "shared" == anka_module.instances[instance].external_id
                assert "2024-01-01T00:01:00+00:00" == anka_module.clock.now.isoformat()
                ask(anka_module, "GET")

        def test_third(anka_module):
            ask(anka_module, "GET")
            assert 3 == len(anka_module.nodes)
        """
    suite.write("test_it.py", text).write("test_other.py", text)
    run = suite.run("--strict-markers", "-W", "error")

    assert run.counted(passed=6), run.output


def test_it_is_another_controller_than_that_of_a_test(suite: Suite) -> None:
    """A test that uses ``anka`` as well, or between others, does not disturb it."""
    suite.write(
        "test_it.py",
        """
        def test_first(anka_module):
            start(anka_module)

        def test_between(anka):
            assert 1 == len(anka.instances)

        @pytest.mark.anka(scenario="empty")
        def test_both(anka, anka_module):
            assert (0, 2) == (len(anka.instances), len(anka_module.instances))
            assert anka.url != anka_module.url
        """,
    )
    run = suite.run()

    assert run.counted(passed=3), run.output


def test_the_scenario_is_that_of_the_marker_else_of_the_fixture_else_of_the_ini(suite: Suite) -> None:
    """A fixture ``anka_scenario`` that ``anka_module`` is to use has the scope of the module, or a wider one."""
    suite.write("pytest.ini", "[pytest]\nanka_scenario = fleet\nanka_release = 1.43.0\n")
    check = "def test_it(anka_module):\n    assert {} == len(anka_module.nodes)\n"
    suite.write(
        "test_ini.py", check.format(100) + "    assert '1.43.0' == anka_module.dump()['controller']['release']\n"
    )
    override = "@pytest.fixture(scope='module')\ndef anka_scenario(): return 'busy'\n"
    suite.write("test_fixture.py", override + check.format(3))
    suite.write("test_marker.py", "pytestmark = pytest.mark.anka(scenario='empty')\n" + override + check.format(0))
    suite.write("test_too_narrow.py", override.replace("(scope='module')", "") + check.format(3))
    run = suite.run()

    assert run.counted(passed=3, errors=1), run.output
    assert "ScopeMismatch: You tried to access the function scoped fixture anka_scenario" in run.output


def test_a_marker_that_would_have_no_effect_is_refused(suite: Suite) -> None:
    """The controller has begun already, so a test or class cannot configure it."""
    suite.write(
        "test_it.py",
        """
        @pytest.mark.anka(clock="manual")
        def test_function(anka_module): pass

        @pytest.mark.anka(clock="manual")
        class TestClass:
            def test_method(self, anka_module): pass

        def test_other(anka_module): pass
        """,
    )
    run = suite.run()

    assert run.counted(passed=1, errors=2), run.output
    assert "anka_module begins once for the module: set pytestmark = pytest.mark.anka(...) in the module" in run.output
    assert "pytest_plugin.py" not in run.output


def test_a_wrong_marker_of_a_module_is_a_short_failure(suite: Suite) -> None:
    """Every test that uses the fixture fails with the reason."""
    suite.write("test_it.py", "pytestmark = pytest.mark.anka(clock='manul')\ndef test_it(anka_module): pass\n")
    run = suite.run()

    assert run.counted(errors=1), run.output
    assert "the anka fixture cannot begin: 'manul' is no clock: did you mean 'manual'?" in run.output
    assert "pytest_plugin.py" not in run.output


def test_a_strict_module_is_judged_at_its_end(suite: Suite) -> None:
    """A later test may terminate an instance; the last test has the error if one is left."""
    suite.write("pytest.ini", "[pytest]\nanka_strict = leaks\n")
    tests = "def test_start(anka_module): start(anka_module)\ndef test_{}\n"
    end = "ask(anka_module, 'DELETE', json={'id': list(anka_module.instances)[-1]})"
    suite.write("test_clean.py", tests.format(f"end(anka_module): {end}"))
    suite.write("test_leaky.py", tests.format("last(anka_module): anka_module.reset()"))
    suite.write(
        "test_lax.py", "pytestmark = pytest.mark.anka(strict=False)\n" + tests.format("last(anka_module): pass")
    )
    suite.write("test_failed.py", tests.format("fails(anka_module): assert 0") + "def test_last(anka_module): pass\n")
    run = suite.run()

    assert run.counted(passed=8, failed=1, errors=1), run.output
    assert ["test_leaky.py::test_last"] == re.findall(r"^ERROR (\S+)", run.output, re.MULTILINE)
    assert "leaks: instance" in run.output


def test_a_test_that_fails_shows_the_requests_to_the_controller_of_its_module(suite: Suite) -> None:
    """They are those of the tests before it too; also if only another fixture uses the controller."""
    suite.write(
        "test_it.py",
        """
        @pytest.fixture(scope="module")
        def client(anka_module): return lambda: ask(anka_module, "GET")

        def test_passes(client): client()

        def test_fails(client):
            client()
            assert 0
        """,
    )
    run = suite.run()

    assert run.counted(passed=1, failed=1), run.output
    assert "mockanka: the last of 2 requests" in run.output


def test_its_server_stops_with_the_module(suite: Suite) -> None:
    """A thousand modules do not leave a thousand servers."""
    suite.write("test_a.py", "def test_it(anka_module): pass\n")
    suite.write(
        "test_b.py",
        """
        import threading

        def test_it():
            assert "mockanka" not in [thread.name for thread in threading.enumerate()]
        """,
    )
    run = suite.run_process()

    assert run.counted(passed=2), run.output
