"""The report of a failing test: requests, events, and differences of requests."""

from __future__ import annotations

import re

from tests.testing.pytest_plugin.suite import Suite


def test_a_failing_test_shows_the_last_requests_and_events_and_a_passing_one_does_not(suite: Suite) -> None:
    """The report of a failure has the test's last 20 requests and its events."""
    suite.write(
        "test_it.py",
        """
        def test_passes(anka):
            ask(anka, "GET", "usb")

        def test_fails(anka):
            start(anka)
            for number in range(22):
                ask(anka, "GET", f"vm?number={number}")
            assert 1 == 2

        def test_fails_at_once(anka):
            assert 1 == 2
        """,
    )
    run = suite.run()
    parts = re.split(r"^_+ (test_\w+) _+$|^=+ (?:PASSES|short).*$", run.output, flags=re.MULTILINE)
    shown = {name: text for name, text in zip(parts[1::2], parts[2::2], strict=False) if name}
    fails = shown["test_fails"]

    assert run.counted(passed=1, failed=2), run.output
    assert "mockanka: the last of 23 requests" in fails
    assert [f"#{number}" for number in range(4, 24)] == re.findall(r"^(#\d+) ", fails, re.MULTILINE)
    assert "GET /api/v1/vm?number=21 -> 200" in fails
    assert re.search(r"mockanka: the last of \d+ events", fails)
    assert "state: Scheduling, cause: requested" in fails
    assert re.search(r"the last of 0 requests -+\nnone\n", shown["test_fails_at_once"])
    assert 2 == run.output.count("mockanka: the last of") // 2
    assert "/api/v1/usb" not in run.output


def test_a_test_that_has_its_controller_from_another_fixture_shows_it_too(suite: Suite) -> None:
    """The controller may come from a fixture of the suite, or by usefixtures."""
    suite.write(
        "test_it.py",
        """
        @pytest.fixture
        def client(anka):
            return lambda: ask(anka, "GET", "usb")

        def test_fixture(client):
            client()
            assert 1 == 2

        @pytest.mark.usefixtures("anka")
        def test_used():
            assert 1 == 2
        """,
    )
    run = suite.run()

    assert run.counted(failed=2), run.output
    assert 2 == len(re.findall(r"mockanka: the last of \d+ requests", run.output))


def test_a_test_that_asks_for_its_controller_while_it_runs_shows_it_too(suite: Suite) -> None:
    """With getfixturevalue the fixture is not among the test's arguments."""
    suite.write("test_it.py", "def test_it(request):\n    request.getfixturevalue('anka')\n    assert 1 == 2\n")
    run = suite.run()

    assert run.counted(failed=1), run.output
    assert "mockanka: the last of 0 requests" in run.output


def test_a_fixture_that_fails_shows_its_requests(suite: Suite) -> None:
    """Requests that a client sends before the test itself are in the report too."""
    suite.write(
        "test_it.py",
        """
        @pytest.fixture
        def client(anka):
            ask(anka, "GET", "usb")
            assert 1 == 2

        def test_it(client): pass
        """,
    )
    run = suite.run()

    assert run.counted(errors=1), run.output
    assert "mockanka: the last of 1 requests" in run.output


def test_a_test_that_never_began_shows_nothing_of_the_one_before(suite: Suite) -> None:
    """If its scenario or an earlier fixture fails, the report has no requests of the test before."""
    suite.write(
        "test_it.py",
        """
        @pytest.fixture
        def broken(anka_server):
            assert 1 == 2

        def test_first(anka):
            ask(anka, "GET", "usb")

        @pytest.mark.anka(scenario="nope")
        def test_second(anka): pass

        def test_third(broken, anka): pass
        """,
    )
    run = suite.run()

    assert run.counted(passed=1, errors=2), run.output
    assert "mockanka: the last of" not in run.output


def test_a_test_of_the_server_alone_shows_it(suite: Suite) -> None:
    """A test that uses the session's server directly has its requests in the report."""
    suite.write("test_it.py", "def test_it(anka_server):\n    ask(anka_server, 'GET', 'usb')\n    assert 1 == 2\n")
    run = suite.run()

    assert run.counted(failed=1), run.output
    assert "mockanka: the last of 1 requests" in run.output


def test_an_assertion_on_requests_shows_the_nearest_first(suite: Suite) -> None:
    """The message has the differences; for an expected list, the first request that differs."""
    suite.write(
        "test_it.py",
        """
        def test_in(anka):
            ask(anka, "GET", "node")
            start(anka, tag="vanilla")
            assert {"method": "POST", "body": {"tag": "xcode-15"}} in anka.requests

        def test_equal(anka):
            ask(anka, "GET", "node")
            assert anka.requests == [{"method": "GET", "path": "/api/v1/usb"}]

        def test_expect(anka):
            anka.requests.expect(method="POST")

        def test_wrong_key(anka):
            assert {"verb": "POST"} not in anka.requests

        def test_other():
            assert [1] == [2]
        """,
    )
    run = suite.run()
    lines = [line.removeprefix("E").strip() for line in run.output.splitlines() if line.startswith("E  ")]

    assert run.counted(failed=5), run.output
    first = lines.index("assert no request fits {'method': 'POST', 'body': {'tag': 'xcode-15'}}")
    assert lines[first + 1].startswith("#2 2024-01-01T00:00:10Z POST /api/v1/vm")
    assert "body.tag: 'vanilla', wanted 'xcode-15'" == lines[first + 2]
    assert "and 1 more" == lines[first + 3]
    assert "AssertionError: assert the requests are not as expected" in lines
    assert "path: '/api/v1/node', wanted '/api/v1/usb'" in lines
    assert "there were no requests at all" in lines
    assert any(line.startswith("TypeError: a request has no 'verb'") for line in lines)


def test_a_test_that_stops_its_controller_does_not_break_the_session(suite: Suite) -> None:
    """The tests after it fail with an error that says so, and the session ends regularly."""
    suite.write(
        "test_it.py",
        """
        def test_stops(anka):
            anka.stop()
            assert 1 == 2

        def test_after(anka): pass

        def test_without(): pass
        """,
    )
    run = suite.run()

    assert "INTERNALERROR" not in run.output
    assert "this controller has been stopped" in run.output
    assert "PASSED test_it.py::test_without" in run.output


def test_an_error_of_a_test_is_shown_in_the_test(suite: Suite) -> None:
    """The traceback does not show the threads and queues between the test and the controller."""
    suite.write("test_it.py", "def test_it(anka): anka.nodes['mini-1']\n")
    run = suite.run()

    assert run.counted(failed=1), run.output
    assert "did you mean 'mini-01'?" in run.output
    assert "threaded.py" not in run.output
    assert "handle.py" not in run.output
    assert "futures" not in run.output
