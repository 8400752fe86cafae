"""The pytest plugin, as suites of other people use it: each test runs a pytest of its own in an empty folder.

Most of them run in this process; a process of its own have those that look at what is loaded, or left at the end.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

PATIENCE = 60.0
"""Seconds that an inner run may take."""
HEAD = """
import pytest
import requests

def ask(anka, method, path="vm", **more):
    return requests.request(method, f"{anka.url}/api/v1/{path}", timeout=10, **more)

def start(anka, **body):
    return ask(anka, "POST", json={"vmid": next(iter(anka.templates)), **body}).json()["body"][0]

def state(anka, id):
    return ask(anka, "GET", params={"id": id}).json()["body"]["instance_state"]
"""
LEAKING = """
    def test_leaks(anka):
        start(anka, external_id="job-7")
"""
pytest_plugins = ["pytester"]
HEAVY = ("flask", "marshmallow", "uvicorn", "yaml", "mockanka.testing.anka")


@dataclass(frozen=True)
class Run:
    """An inner run: its exit status and all it said."""

    status: int
    said: str

    def counted(self, **wanted: int) -> bool:
        """Whether so many tests passed, failed and so on, and none did anything else."""
        last = next(line for line in reversed(self.said.splitlines()) if re.search(r" in \d+\.\d+s", line))
        found = {what.rstrip("s"): int(number) for number, what in re.findall(r"(\d+) ([a-z]+)", last)}
        return {what.rstrip("s"): number for what, number in wanted.items()} == found


@dataclass(frozen=True)
class Suite:
    """A folder with tests, and pytest in it, with this plugin alone."""

    pytester: pytest.Pytester

    @property
    def folder(self) -> Path:
        return self.pytester.path

    def write(self, name: str, text: str, head: str = HEAD) -> Suite:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(head + dedent(text) if name.endswith(".py") else dedent(text))
        return self

    def run(self, *arguments: str, cwd: Path | None = None) -> Run:
        """Run pytest in this process, with this plugin and nothing else that is installed."""
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ:
                if name.startswith(("PYTEST_", "MOCKANKA_")):
                    patch.delenv(name)
            patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            patch.setenv("COLUMNS", "200")
            patch.chdir(cwd or self.folder)
            done = self.pytester.runpytest_inprocess("-rA", "-p", "no:cacheprovider", "-p", "mockanka", *arguments)
        return Run(done.ret, f"{done.stdout}{done.stderr}")

    def run_process(self, *arguments: str, plugins: tuple[str, ...] = ("mockanka",)) -> Run:
        """Run pytest in a process of its own; without ``plugins`` it loads what is installed by itself."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MOCKANKA_"))}
        env |= {"COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"}
        if plugins:
            env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        loaded = [word for plugin in ("no:cacheprovider", *plugins) for word in ("-p", plugin)]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-rA", *loaded, *arguments],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Run(done.returncode, done.stdout + done.stderr)


@pytest.fixture
def suite(pytester: pytest.Pytester) -> Suite:
    """An empty suite with a root of its own."""
    return Suite(pytester).write("pytest.ini", "[pytest]\n")


# The fixture.


def test_the_fixture_works_without_any_configuration(pytester: pytest.Pytester) -> None:
    """A suite that has nothing but the package installed gets a controller; warnings are errors, markers strict."""
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

    assert run.counted(passed=1), run.said


def test_each_test_begins_anew_on_one_server(suite: Suite) -> None:
    """The URL is the same for the session, the state is that of the scenario: instances, faults, journal, clock."""
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

    assert run.counted(passed=3), run.said


def test_the_server_ends_with_the_session(suite: Suite) -> None:
    """After the last test no thread of it is left, and nobody listens."""
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

    assert "LEFT ['MainThread'] True" in run.said


def test_the_marker_says_how_the_controller_begins(suite: Suite) -> None:
    """Scenario, clock, speed, step, release and seed; the next test has none of it."""
    suite.write(
        "test_it.py",
        """
        from datetime import timedelta

        def given(anka):
            dump = anka.dump()
            clock = dump["clock"]
            return dump["seed"], dump["controller"]["release"], clock["mode"], clock["speed"], clock["step"]

        @pytest.mark.anka(scenario="busy", clock="manual", release="1.24.0", seed=7, speed=60, step="9s")
        def test_all(anka):
            assert given(anka) == (7, "1.24.0", "manual", 60, "9s")
            assert len(anka.nodes) == 3
            anka.reset()
            assert given(anka) == (7, "1.24.0", "manual", 60, "9s")

        def test_none(anka):
            assert given(anka) == (0, "1.50.1", "step", 1, "5s")
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
                assert given(anka) == (5, "1.50.1", "manual", 1, "5s")

            @pytest.mark.anka(clock="real")
            def test_nearest_counts(self, anka):
                assert anka.clock.mode == "real"
        """,
    )
    run = suite.run("--strict-markers", "-W", "error")

    assert run.counted(passed=6), run.said


def test_a_seed_gives_the_same_ids_again(suite: Suite) -> None:
    """In each test, and in the next session."""
    suite.write("test_it.py", "@pytest.mark.anka(seed=7)\ndef test_it(anka):\n    print('ID', start(anka))\n")
    suite.write("test_two.py", "@pytest.mark.anka(seed=7)\ndef test_it(anka):\n    print('ID', start(anka))\n")
    said = suite.run("-s").said + suite.run_process("-s").said

    assert 4 == len(re.findall(r"ID \S+", said))
    assert 1 == len(set(re.findall(r"ID \S+", said)))


def test_the_marker_is_listed(suite: Suite) -> None:
    """``pytest --markers`` tells what it takes."""
    run = suite.run("--markers")

    assert "@pytest.mark.anka(scenario=, clock=, speed=, step=, release=, seed=, strict=)" in run.said
    for setting in ("anka_scenario", "anka_release", "anka_strict"):
        assert setting in suite.run("--help").said


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


def test_what_is_wrong_in_a_marker_is_a_failure_in_a_few_words(suite: Suite) -> None:
    """Each error says what is wrong and shows no traceback through the plugin; the tests after it run."""
    lines = [f"@pytest.mark.anka({wrong})\ndef test_{n}(anka): pass\n" for n, wrong in enumerate(WRONG)]
    suite.write("test_it.py", "".join(lines) + "def test_right(anka): assert len(anka.nodes) == 2\n")
    run = suite.run()

    assert run.counted(passed=1, errors=len(WRONG)), run.said
    for message in WRONG.values():
        assert message in run.said
    assert "pytest_plugin.py" not in run.said
    assert "Traceback" not in run.said


def test_a_strict_that_is_nothing_is_a_failure_in_a_few_words(suite: Suite) -> None:
    """Whoever writes ``strict=7`` is told so, without a traceback."""
    suite.write("test_it.py", "@pytest.mark.anka(strict=7)\ndef test_it(anka): pass\n")
    run = suite.run()

    assert run.counted(errors=1), run.said
    assert "AttributeError" not in run.said
    assert "pytest_plugin.py" not in run.said


# The scenario of a suite.


def test_a_module_or_a_suite_overrides_the_scenario(suite: Suite) -> None:
    """The conftest's beats the ini's, the module's beats the conftest's, and a marker beats all."""
    suite.write("pytest.ini", "[pytest]\nanka_scenario = fleet\n")
    suite.write("test_ini.py", "def test_ini(anka): assert len(anka.nodes) == 100\n")
    suite.write("inner/conftest.py", "@pytest.fixture\ndef anka_scenario(): return 'busy'\n")
    suite.write("inner/test_conftest.py", "def test_conftest(anka): assert len(anka.nodes) == 3\n")
    suite.write(
        "inner/test_module.py",
        """
        from pathlib import Path

        @pytest.fixture
        def anka_scenario(tmp_path):
            file = tmp_path / "mine.yaml"
            file.write_text("nodes: [{name: mine}]")
            return file

        def test_module(anka):
            assert [node.name for node in anka.nodes.values()] == ["mine"]

        @pytest.mark.anka(scenario="default")
        def test_marker(anka):
            assert len(anka.nodes) == 2

        class TestData:
            @pytest.fixture
            def anka_scenario(self):
                return {"nodes": [{"name": "data"}]}

            def test_data(self, anka):
                assert [node.name for node in anka.nodes.values()] == ["data"]
        """,
    )
    run = suite.run()

    assert run.counted(passed=5), run.said


def test_the_ini_names_the_release(suite: Suite) -> None:
    """A marker's release beats it."""
    suite.write("pytest.ini", "[pytest]\nanka_release = 1.43.0\n").write(
        "test_it.py",
        """
        def test_ini(anka): assert anka.dump()["controller"]["release"] == "1.43.0"

        @pytest.mark.anka(release="1.24.0")
        def test_marker(anka): assert anka.dump()["controller"]["release"] == "1.24.0"
        """,
    )
    run = suite.run()

    assert run.counted(passed=2), run.said


def test_a_scenario_file_is_found_from_the_root_and_beside_the_test(suite: Suite) -> None:
    """Wherever pytest is started; as text or as a Path."""
    suite.write("pytest.ini", "[pytest]\nanka_scenario = scenarios/root.yaml\n")
    suite.write("scenarios/root.yaml", "nodes: [{name: root}]\n")
    suite.write("inner/beside.yaml", "nodes: [{name: beside}]\n")
    suite.write(
        "inner/test_it.py",
        """
        from pathlib import Path

        def names(anka): return [node.name for node in anka.nodes.values()]

        def test_root(anka): assert names(anka) == ["root"]

        @pytest.mark.anka(scenario="beside.yaml")
        def test_beside(anka): assert names(anka) == ["beside"]

        @pytest.mark.anka(scenario=Path("beside.yaml"))
        def test_path(anka): assert names(anka) == ["beside"]

        @pytest.mark.anka(scenario=Path(__file__).parent / "beside.yaml")
        def test_absolute(anka): assert names(anka) == ["beside"]
        """,
    )
    elsewhere = suite.folder / "elsewhere"
    elsewhere.mkdir()
    for run in (suite.run(), suite.run("-c", "../pytest.ini", "../inner", cwd=elsewhere)):
        assert run.counted(passed=4), run.said


def test_a_wrong_scenario_file_is_a_failure_that_names_file_line_and_key(suite: Suite) -> None:
    """The test's author has written it, and is told where, without a traceback."""
    suite.write("mine.yaml", "nodes:\n  - name: a\n    capcity: 2\n")
    suite.write("test_it.py", "@pytest.mark.anka(scenario='mine.yaml')\ndef test_it(anka): pass\n")
    run = suite.run()

    assert run.counted(errors=1), run.said
    assert re.search(r"the anka fixture cannot begin: \S*mine\.yaml:3: .*capcity.*did you mean 'capacity'\?", run.said)
    assert "Traceback" not in run.said
    assert "pytest_plugin.py" not in run.said


# Being strict.


def test_a_test_that_leaves_instances_behind_fails(suite: Suite) -> None:
    """With ``anka_strict = leaks``; it says which instance and which request, and no other test fails."""
    suite.write("pytest.ini", "[pytest]\nanka_strict = leaks\n").write(
        "test_it.py",
        LEAKING
        + """
    def test_tidy(anka):
        ask(anka, "DELETE", json={"id": start(anka)})

    @pytest.mark.anka(strict="")
    def test_off(anka):
        start(anka)
    """,
    )
    run = suite.run()

    assert run.counted(passed=3, errors=1), run.said
    assert 1 == run.status
    assert re.search(
        r"the client did wrong:\n\s*leaks: instance \S+, external_id 'job-7' is still Sched\S+ \(#1\)", run.said
    )
    assert "ERROR test_it.py::test_leaks" in run.said
    assert "pytest_plugin.py" not in run.said


def test_the_last_test_of_a_session_that_leaks_fails_like_any_other(suite: Suite) -> None:
    """It fails with what it left behind; pytest does not break down."""
    suite.write("pytest.ini", "[pytest]\nanka_strict = leaks\n").write("test_it.py", LEAKING)
    run = suite.run()

    assert "INTERNALERROR" not in run.said
    assert 1 == run.status
    assert "leaks: instance" in run.said


def test_a_marker_makes_one_test_strict(suite: Suite) -> None:
    """With kinds separated by blanks or commas, or all; what is not named fails nothing."""
    suite.write(
        "test_it.py",
        """
        @pytest.mark.anka(strict="hammering, unknown-ids")
        def test_unknown(anka):
            start(anka)
            ask(anka, "DELETE", json={"id": "nobody"})

        @pytest.mark.anka(strict="all")
        def test_all(anka):
            start(anka)

        @pytest.mark.anka(strict="unknown-ids")
        def test_other(anka):
            start(anka)

        def test_lax(anka):
            start(anka)
        """,
    )
    run = suite.run()

    assert run.counted(passed=4, errors=2), run.said
    assert "unknown-ids: DELETE /api/v1/vm: there never was a 'nobody' (#2)" in run.said
    assert {"test_unknown", "test_all"} == set(re.findall(r"^ERROR test_it.py::(\w+)", run.said, re.MULTILINE))


def test_a_wrong_kind_in_the_ini_is_named(suite: Suite) -> None:
    """And those that there are."""
    suite.write("pytest.ini", "[pytest]\nanka_strict = leeks\n").write("test_it.py", "def test_it(anka): pass\n")
    run = suite.run()

    assert run.counted(errors=1), run.said
    assert "anka_strict: 'leeks' is no kind of finding: there are leaks, double-starts" in run.said
    assert "pytest_plugin.py" not in run.said


# What a failing test shows.


def test_a_failing_test_shows_the_last_requests_and_events_and_a_passing_one_does_not(suite: Suite) -> None:
    """The last 20 requests and what happened; each test its own."""
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
    parts = re.split(r"^_+ (test_\w+) _+$|^=+ (?:PASSES|short).*$", run.said, flags=re.MULTILINE)
    shown = {name: text for name, text in zip(parts[1::2], parts[2::2], strict=False) if name}
    fails = shown["test_fails"]

    assert run.counted(passed=1, failed=2), run.said
    assert "mockanka: the last of 23 requests" in fails
    assert [f"#{number}" for number in range(4, 24)] == re.findall(r"^(#\d+) ", fails, re.MULTILINE)
    assert "GET /api/v1/vm?number=21 -> 200" in fails
    assert re.search(r"mockanka: the last of \d+ events", fails)
    assert "state: Scheduling, cause: requested" in fails
    assert re.search(r"the last of 0 requests -+\nnone\n", shown["test_fails_at_once"])
    assert 2 == run.said.count("mockanka: the last of") // 2
    assert "/api/v1/usb" not in run.said


def test_a_test_that_has_its_controller_from_another_fixture_shows_it_too(suite: Suite) -> None:
    """A fixture of its own, or usefixtures."""
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

    assert run.counted(failed=2), run.said
    assert 2 == len(re.findall(r"mockanka: the last of \d+ requests", run.said))


def test_a_test_that_asks_for_its_controller_while_it_runs_shows_it_too(suite: Suite) -> None:
    """With getfixturevalue, where the fixture is not among the test's names."""
    suite.write("test_it.py", "def test_it(request):\n    request.getfixturevalue('anka')\n    assert 1 == 2\n")
    run = suite.run()

    assert run.counted(failed=1), run.said
    assert "mockanka: the last of 0 requests" in run.said


def test_a_fixture_that_fails_shows_what_it_asked_for(suite: Suite) -> None:
    """Also what a client does before the test proper stands in the report."""
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

    assert run.counted(errors=1), run.said
    assert "mockanka: the last of 1 requests" in run.said


def test_a_test_that_never_began_shows_nothing_of_the_one_before(suite: Suite) -> None:
    """Its scenario is not there, or a fixture breaks before its own: what the server has heard was another's doing."""
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

    assert run.counted(passed=1, errors=2), run.said
    assert "mockanka: the last of" not in run.said


def test_a_test_of_the_server_alone_shows_it(suite: Suite) -> None:
    """Who takes the session's server as it is sees what it has heard."""
    suite.write("test_it.py", "def test_it(anka_server):\n    ask(anka_server, 'GET', 'usb')\n    assert 1 == 2\n")
    run = suite.run()

    assert run.counted(failed=1), run.said
    assert "mockanka: the last of 1 requests" in run.said


def test_an_assertion_on_requests_shows_the_nearest_first(suite: Suite) -> None:
    """With what is different in it; a list that is expected shows the first that is not so."""
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
    lines = [line.removeprefix("E").strip() for line in run.said.splitlines() if line.startswith("E  ")]

    assert run.counted(failed=5), run.said
    first = lines.index("assert no request fits {'method': 'POST', 'body': {'tag': 'xcode-15'}}")
    assert lines[first + 1].startswith("#2 2024-01-01T00:00:10Z POST /api/v1/vm")
    assert "body.tag: 'vanilla', wanted 'xcode-15'" == lines[first + 2]
    assert "and 1 more" == lines[first + 3]
    assert "AssertionError: assert the requests are not as expected" in lines
    assert "path: '/api/v1/node', wanted '/api/v1/usb'" in lines
    assert "there were no requests at all" in lines
    assert any(line.startswith("TypeError: a request has no 'verb'") for line in lines)


def test_a_test_that_stops_its_controller_does_not_break_the_session(suite: Suite) -> None:
    """It is a mistake, which the tests after it are told of; pytest does not break down."""
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

    assert "INTERNALERROR" not in run.said
    assert "this controller has been stopped" in run.said
    assert "PASSED test_it.py::test_without" in run.said


# In company.


def test_each_worker_of_xdist_has_a_server_of_its_own(suite: Suite) -> None:
    """Two workers, two ports; what fails is shown as ever."""
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

    assert run.counted(passed=8, failed=1), run.said
    assert ["gw0", "gw1"] == sorted(worker for worker, _ in found)
    assert 2 == len({url for _, url in found})
    assert "mockanka: the last of 1 requests" in run.said


def test_collecting_starts_nothing(suite: Suite) -> None:
    """With ``--collect-only`` no server is started and nothing of it imported."""
    suite.write("conftest.py", WATCHING, head="")
    suite.write("test_it.py", "@pytest.mark.anka(scenario='busi')\ndef test_it(anka): pass\n")
    run = suite.run_process("--collect-only", "--strict-markers", "-s")

    assert 0 == run.status
    assert "1 test collected" in run.said
    assert "IMPORTED []" in run.said


WATCHING = f"""
import sys

def pytest_unconfigure():
    print("IMPORTED", [name for name in {HEAVY!r} if name in sys.modules])
"""


def test_a_suite_that_does_not_use_it_imports_nothing(suite: Suite) -> None:
    """Neither passing nor failing tests load what the fixture needs; a suite that uses it does."""
    suite.write("conftest.py", WATCHING, head="")
    suite.write("test_it.py", "def test_passes(): pass\ndef test_fails():\n    assert [1] == [2]\n", head="")
    without = suite.run_process("-s")
    suite.write("test_it.py", "def test_it(anka): pass\n", head="")
    using = suite.run_process("-s")

    assert without.counted(passed=1, failed=1), without.said
    assert "IMPORTED []" in without.said
    assert f"IMPORTED {list(HEAVY)}" in using.said


def test_it_can_be_switched_off(suite: Suite) -> None:
    """With ``-p no:mockanka`` the fixture is not there; installed, it is there by itself."""
    suite.write("test_it.py", "def test_it(anka): pass\n")
    others = ("-p", "no:schemathesis", "-p", "no:hypothesispytest", "-p", "no:xdist")
    there, gone = suite.run_process(*others, plugins=()), suite.run_process(*others, "-p", "no:mockanka", plugins=())

    assert there.counted(passed=1), there.said
    assert gone.counted(errors=1), gone.said
    assert "fixture 'anka' not found" in gone.said


def test_the_fixtures_are_listed_with_what_they_are_for(suite: Suite) -> None:
    """``pytest --fixtures`` has all three, each with a line."""
    run = suite.run("--fixtures")

    for name in ("anka_server [session scope]", "anka_scenario", "anka"):
        assert re.search(rf"^{re.escape(name)} -- .*pytest_plugin\.py:\d+\n    \S+", run.said, re.MULTILINE), name
    assert "no docstring available" not in run.said


def test_a_scenarios_own_clock_beats_the_default(suite: Suite) -> None:
    """The clock steps where neither marker nor scenario says anything."""
    suite.write(
        "test_it.py",
        """
        @pytest.mark.anka(scenario={"clock": {"mode": "manual"}})
        def test_its_own(anka): assert "manual" == anka.clock.mode

        @pytest.mark.anka(scenario={"clock": {"mode": "manual"}}, clock="real")
        def test_the_markers(anka): assert "real" == anka.clock.mode

        def test_none(anka): assert "step" == anka.clock.mode
        """,
    )
    run = suite.run()

    assert run.counted(passed=3), run.said


def test_a_strict_test_is_judged_over_its_resets_and_only_if_it_passed(suite: Suite) -> None:
    """A reset hides no leak; who failed or was skipped is not judged again."""
    suite.write(
        "test_it.py",
        """
        pytestmark = pytest.mark.anka(strict=True)

        def test_resets(anka):
            start(anka)
            anka.reset()

        def test_fails(anka):
            start(anka)
            assert 0

        def test_skips(anka):
            start(anka)
            pytest.skip("enough")
        """,
    )
    run = suite.run()

    assert run.counted(passed=1, errors=1, failed=1, skipped=1), run.said
    assert "after reset" not in run.said
    assert "leaks: instance" in run.said


def test_what_a_test_did_wrong_is_shown_in_the_test(suite: Suite) -> None:
    """Not in the threads and queues between it and the controller."""
    suite.write("test_it.py", "def test_it(anka): anka.nodes['mini-1']\n")
    run = suite.run()

    assert run.counted(failed=1), run.said
    assert "did you mean 'mini-01'?" in run.said
    assert "thread.py" not in run.said
    assert "futures" not in run.said


def test_a_scenario_is_loaded_from_beside_the_test_too(suite: Suite) -> None:
    """As the marker finds it."""
    suite.write("deep/test_it.py", "def test_it(anka):\n    anka.load('mine.yaml')\n    assert not anka.nodes\n")
    suite.write("deep/mine.yaml", "templates: []\n")
    run = suite.run()

    assert run.counted(passed=1), run.said
