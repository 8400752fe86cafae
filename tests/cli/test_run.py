"""``mockanka run``: a command with a controller of its own, and nothing left behind by either."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from mockanka.server.run_command import proxy_exceptions
from mockanka.serving import listen
from tests.cli.commands import (
    CLEAN,
    HAMMER,
    HTTP,
    LEAK,
    PYTHON,
    TIMEOUT,
    clean_environment,
    run,
    run_process,
    run_python,
    running,
)

# A loop that hangs in this process hears no signal, so a thread must end it.
pytestmark = pytest.mark.timeout(60, method="thread")

# The command's surroundings.


def test_the_command_finds_the_controller_in_its_environment() -> None:
    """ANKA_CONTROLLER_URL is the controller, MOCKANKA_URL the control API; both answer when the command starts."""
    done = run_python(HTTP + "print(len(ask('/api/v1/node')['body']), ask('/_mock/health', base=control)['status'])")

    assert (0, "2 ok\n") == (done.returncode, done.stdout)


def test_the_two_urls_are_two_ports_of_one_controller() -> None:
    """An instance started at one port is visible at the other, and both have the control API."""
    done = run_python(
        HTTP
        + "id, = start()\nprint(url != control, ask('/api/v1/vm?id=' + id, base=control)['status'],"
        + " ask('/_mock/clock')['mode'], ask('/_mock/clock', base=control)['mode'])"
    )

    assert "True OK manual manual\n" == done.stdout


def test_the_control_url_answers_while_connections_are_refused() -> None:
    """A command can make its controller refuse connections, and accept them again."""
    done = run_python(
        HTTP
        + "import socket, time\n"
        + "def refused():\n"
        + "    try: socket.create_connection(url[7:].split(':'), 5).close()\n"
        + "    except ConnectionRefusedError: return True\n"
        + "ask('/_mock/faults', {'id': 'x', 'do': {'refuse': '1h'}}, base=control)\n"
        + "try: ask('/api/v1/vm')\n"
        + "except OSError: pass\n"
        + "print(refused())\n"
        + "ask('/_mock/faults/x', method='DELETE', base=control)\n"
        + "while refused(): time.sleep(0.01)\n"
        + "print(ask('/api/v1/vm')['status'])"
    )

    assert "True\nOK\n" == done.stdout, done.stderr


def test_the_rest_of_the_environment_is_passed_on() -> None:
    """The command has mockanka's environment, but the URLs are those of its own controller."""
    code = "import os; print(os.environ['OTHER'], os.environ['ANKA_CONTROLLER_URL'] == 'http://elsewhere')"
    done = run_python(code, OTHER="x", ANKA_CONTROLLER_URL="http://elsewhere", MOCKANKA_URL="http://elsewhere")

    assert "x False\n" == done.stdout


PROXIES = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
"""Variables of a proxy at which nothing listens."""


@pytest.mark.parametrize("env", [{}, {"NO_PROXY": "", "no_proxy": ""}, {"NO_PROXY": "example.com"}])
def test_the_command_reaches_the_controller_behind_a_proxy(env: dict[str, str]) -> None:
    """Its proxy is not asked for the controller.

    Seen in localstack/localstack#239 and #244: a client behind a proxy did not reach the mock on its own machine.
    """
    program = "import requests; print(requests.get(url + '/api/v1/status', timeout=5).json()['status'])"
    done = run_python(HTTP + "print(ask('/api/v1/status')['status'])\n" + program, **PROXIES, **env)

    assert "OK\nOK\n" == done.stdout, done.stderr


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"PATH": "/bin"}, {}),
        ({"http_proxy": "", "NO_PROXY": ""}, {}),
        ({"https_proxy": "x"}, {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}),
        ({"no_proxy": "a.b"}, {"NO_PROXY": "a.b,127.0.0.1,localhost", "no_proxy": "a.b,127.0.0.1,localhost"}),
        (
            {"ALL_PROXY": "x", "NO_PROXY": "a b, localhost", "no_proxy": "c"},
            {"NO_PROXY": "a b, localhost,127.0.0.1", "no_proxy": "c,127.0.0.1,localhost"},
        ),
        ({"NO_PROXY": "*"}, {"NO_PROXY": "*", "no_proxy": "*"}),
    ],
)
def test_exceptions_are_added_to_those_of_the_environment(
    environment: dict[str, str], expected: dict[str, str]
) -> None:
    """Existing values stay, and the hosts that are missing are appended; without a proxy nothing is set."""
    assert expected == proxy_exceptions(environment, ["127.0.0.1", "localhost", "127.0.0.1"])


def test_a_run_without_requests_says_so() -> None:
    """A client that went elsewhere is not taken for one without findings."""
    silent, asking = run("--", PYTHON, "-c", ""), run_python(CLEAN)

    assert (0, 0) == (silent.returncode, asking.returncode)
    assert "the controller saw no request at all" in silent.stderr
    assert "no request at all" not in asking.stderr


def test_the_command_gets_its_arguments_unchanged() -> None:
    """All arguments after the first -- reach the command, including options and a second --."""
    done = run("--clock", "manual", "--", PYTHON, "-c", "import sys; print(sys.argv[1:])", "--port", "x", "--", "-h")

    assert (0, "['--port', 'x', '--', '-h']\n") == (done.returncode, done.stdout)


def test_scenario_and_options_are_those_of_serve() -> None:
    """``run`` takes a scenario, a seed, a release and a clock as ``serve`` does."""
    code = (
        HTTP + "dump = ask('/_mock/scenario'); print(dump['seed'], dump['controller']['release'], len(dump['nodes']))"
    )
    done = run("fleet", "--seed", "7", "--release", "1.24.0", "--clock", "step", "--", PYTHON, "-c", code)

    assert "7 1.24.0 100\n" == done.stdout


def test_options_may_come_from_the_environment() -> None:
    """MOCKANKA_SCENARIO, MOCKANKA_SEED and MOCKANKA_CLOCK replace the arguments."""
    code = HTTP + "dump = ask('/_mock/scenario'); print(dump['seed'], dump['clock']['mode'], len(dump['nodes']))"
    done = run("--", PYTHON, "-c", code, MOCKANKA_SCENARIO="fleet", MOCKANKA_SEED="7", MOCKANKA_CLOCK="manual")

    assert "7 manual 100\n" == done.stdout


def test_standard_input_is_the_commands() -> None:
    """The command reads the standard input of mockanka."""
    command = [PYTHON, "-m", "mockanka", "run", "--", "cat"]
    done = subprocess.run(
        command, input="hello", capture_output=True, text=True, env=clean_environment({}), timeout=TIMEOUT
    )

    assert "hello" == done.stdout


# The exit status.


@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_the_commands_status_is_passed_on(status: int) -> None:
    """``run`` ends with the status of the command."""
    assert status == run_process("--", "sh", "-c", f"exit {status}").returncode


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_command_that_a_signal_ends_gives_128_and_its_number(number: signal.Signals) -> None:
    """The status is the one that a shell gives."""
    assert 128 + number == run("--", "sh", "-c", f"kill -{number.value} $$").returncode


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2]
)
def test_signals_are_forwarded(number: signal.Signals) -> None:
    """A command that handles a signal chooses its own status, and mockanka ends with it."""
    code = (
        "import signal, sys, time\n"
        f"signal.signal({number.value}, lambda *_: sys.exit(7))\n"
        "print('ready')\n"
        "while True: time.sleep(0.05)"
    )
    with running(code) as process:
        process.send_signal(number)

        assert 7 == process.wait(TIMEOUT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_the_command_does_not_handle_ends_both(number: signal.Signals) -> None:
    """The status is 128 and the signal's number, and the report is printed nevertheless."""
    code = f"import signal, time\nsignal.signal({number.value}, signal.SIG_DFL)\nprint('ready')\ntime.sleep(20)"
    with running(code) as process:
        began = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=TIMEOUT)

        assert 128 + number == process.returncode
        assert time.monotonic() - began < 3
        assert "mockanka report: 0 requests" in errors


def test_a_command_that_ignores_a_signal_goes_on() -> None:
    """Mockanka does not end before its command."""
    code = (
        "import os, signal, time\n"
        "heard = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: heard.append(os.write(1, b'no\\n')))\n"
        "os.write(1, b'ready\\n')\n"
        "while not heard: time.sleep(0.01)\n"
        "time.sleep(0.2)\n"
        "print('done')"
    )
    with running(code) as process:
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=TIMEOUT)

        assert (0, ["ready", "no", "done"]) == (process.returncode, output.split())


def test_a_command_at_a_terminal_gets_ctrl_c_once() -> None:
    """The terminal sends the signal to the command too, so mockanka does not forward it, and ends after the command."""
    counts = (
        "import signal, sys, time\n"
        "heard = []\n"
        "signal.signal(signal.SIGINT, lambda *_: heard.append(1))\n"
        "print('ready')\n"
        "while not heard: time.sleep(0.01)\n"
        "time.sleep(0.25)\n"
        "sys.exit(10 + len(heard))"
    )
    at_terminal = (  # the first terminal that the leader of a session opens is its own
        "import os, sys\n"
        "os.dup2(os.open(sys.argv[1], os.O_RDWR), 0)\n"
        "python = sys.executable\n"
        "os.execv(python, [python, '-m', 'mockanka', 'run', '--', python, '-u', '-c', sys.argv[2]])"
    )
    keyboard, terminal = pty.openpty()
    command = [PYTHON, "-c", at_terminal, os.ttyname(terminal), counts]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment({}), start_new_session=True
    )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], TIMEOUT)[0]
        os.write(keyboard, b"\x03")
        process.communicate(timeout=TIMEOUT)

        assert 11 == process.returncode
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate(timeout=TIMEOUT)
        os.close(keyboard)
        os.close(terminal)


def test_a_command_that_does_not_exist_is_status_127() -> None:
    """The status is the one that a shell gives, before anything is served."""
    done = run("--", "no-such-command-anywhere", "x")

    assert (127, "") == (done.returncode, done.stdout)
    assert "cannot run no-such-command-anywhere: there is no such command\n" == done.stderr


def test_a_command_that_cannot_be_run_is_status_126(tmp_path: Path) -> None:
    """A file that is not executable, and a script whose interpreter does not exist, give the status of a shell."""
    plain, broken = tmp_path / "plain", tmp_path / "broken"
    plain.write_text("x")
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    first, second = run("--", str(plain)), run("--", str(broken))

    assert (126, f"cannot run {plain}: it is not executable\n") == (first.returncode, first.stderr)
    assert 126 == second.returncode
    assert f"cannot run {broken}: " in second.stderr


@pytest.mark.parametrize("args", [(), ("default",), ("--seed", "1"), ("default", "--")])
def test_no_command_is_an_error_with_an_example(args: tuple[str, ...]) -> None:
    """Without a command ``run`` ends with status 2 and shows how one is written."""
    done = run(*args)

    assert (2, "") == (done.returncode, done.stdout)
    assert "the command to run goes after --: mockanka run default -- go test ./..." in done.stderr


def test_a_command_without_dashes_is_an_error() -> None:
    """A command before -- is refused: options there are those of mockanka."""
    done = run("default", "true")

    assert (2, "") == (done.returncode, done.stdout)
    assert "true" in done.stderr


# The output and the report.


def test_standard_output_is_the_commands_alone() -> None:
    """Mockanka prints nothing there; the report is on standard error, after the command's own output."""
    done = run_python(
        HTTP + "sys.stdout.write('out'); sys.stderr.write('error\\n'); ask('/api/v1/vm')", run=run_process
    )
    lines = done.stderr.splitlines()

    assert "out" == done.stdout
    assert lines[0].startswith("mockanka ")
    assert "error" == lines[1]
    assert ["mockanka report: 1 request", "  no findings"] == lines[2:]


def test_the_report_names_what_the_client_did_wrong() -> None:
    """A leak is reported with its external id and its request."""
    done = run_python(LEAK)

    assert 0 == done.returncode
    assert "mockanka report: 2 requests\n  leaks: instance " in done.stderr
    assert ", external_id 'job-1' is still Scheduling (#2)" in done.stderr


def test_the_report_includes_findings_before_a_reset() -> None:
    """A reset, as between two tests, loses no finding, for ``--strict`` neither."""
    code = HTTP + "ask('/api/v1/vm?id=nobody')\nask('/_mock/reset', {}, base=control)\nask('/api/v1/vm?id=nowhere')"
    done = run_python(code.replace("json.load(answer)", "answer.read()"), "--strict", "--release", "1.8.0")

    assert 1 == done.returncode
    assert [
        "mockanka report: 2 requests",
        "  unknown-ids: GET /api/v1/vm: there never was a 'nobody' (#1)",
        "  unknown-ids: GET /api/v1/vm: there never was a 'nowhere', after reset 1 (#1)",
    ] == done.stderr.splitlines()[1:4]


def test_the_report_is_printed_when_the_command_fails_too() -> None:
    """A finding may be the reason why the command failed."""
    done = run_python(LEAK + "; sys.exit(4)")

    assert 4 == done.returncode
    assert "  leaks: instance " in done.stderr


def test_the_report_names_faults_that_never_struck(tmp_path: Path) -> None:
    """Fault rules of the scenario are included."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text("faults: [{id: idle, do: {status: 503}}]")
    done = run(str(scenario), "--", "true")

    assert "  fault idle never struck" in done.stderr


# Strict.


@pytest.mark.parametrize(
    ("code", "args", "status"),
    [
        (LEAK, [], 0),
        (LEAK, ["--strict"], 1),
        (CLEAN, ["--strict"], 0),
        (HAMMER, ["--strict"], 1),
        (LEAK, ["--strict-on", "leaks"], 1),
        (LEAK, ["--strict-on", "hammering"], 0),
        (LEAK, ["--strict-on", "hammering,leaks"], 1),
        (HAMMER, ["--strict-on", "leaks"], 0),
        (HAMMER, ["--strict-on", "all"], 1),
        (LEAK, ["--strict", "--strict-on", "hammering"], 0),
        (LEAK + "; sys.exit(4)", ["--strict"], 4),
        (CLEAN + "; sys.exit(4)", ["--strict"], 4),
    ],
)
def test_strict_ends_with_1_when_there_are_findings(code: str, args: list[str], status: int) -> None:
    """All kinds of findings count, or only those that are named; a command that failed keeps its own status."""
    assert status == run_python(code, *args).returncode


@pytest.mark.parametrize(("env", "status"), [({"MOCKANKA_STRICT": "1"}, 1), ({"MOCKANKA_STRICT_ON": "hammering"}, 0)])
def test_strictness_may_come_from_the_environment(env: dict[str, str], status: int) -> None:
    """MOCKANKA_STRICT and MOCKANKA_STRICT_ON replace the options."""
    assert status == run_python(LEAK, **env).returncode


def test_an_unknown_kind_of_finding_is_refused() -> None:
    """The message lists all kinds, the status is 2, and the command is not run."""
    done = run("--strict-on", "leak", "--", "echo", "ran")

    assert (2, "") == (done.returncode, done.stdout)
    assert "'leak' is no kind of finding: there are leaks, double-starts" in done.stderr


# The ready file, the port, the scenario.


def test_the_ready_file_exists_while_the_command_runs(tmp_path: Path) -> None:
    """It holds both URLs and the process id, and is removed afterwards."""
    ready = tmp_path / "ready.json"
    ready.write_text("the line of an earlier server")
    code = f"import os; print(open({str(ready)!r}).read()); print(os.environ['ANKA_CONTROLLER_URL'], os.getppid())"
    done = run_python(code, "--ready-file", str(ready))
    line, url_and_parent = done.stdout.replace("\n\n", "\n").splitlines()
    ready_line = json.loads(line)

    assert {"url", "control_url", "pid"} == set(ready_line)
    assert f"{ready_line['url']} {ready_line['pid']}" == url_and_parent
    assert [] == list(tmp_path.iterdir())


def test_the_ready_file_is_removed_when_the_command_is_killed_too(tmp_path: Path) -> None:
    """A ready file never names a server that has ended."""
    ready = tmp_path / "ready.json"
    run("--ready-file", str(ready), "--", "sh", "-c", "kill -9 $$")

    assert [] == list(tmp_path.iterdir())


def test_a_ready_file_in_no_folder_is_refused(tmp_path: Path) -> None:
    """The status is 2, and the command is not run."""
    done = run("--ready-file", str(tmp_path / "none" / "ready.json"), "--", "echo", "ran")

    assert (2, "") == (done.returncode, done.stdout)
    assert "there is no folder" in done.stderr


def test_a_port_may_be_chosen_and_is_free_afterwards() -> None:
    """The controller listens on that port while the command runs; afterwards others can, again and again."""
    with closing(listen("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    for _ in range(2):
        done = run_python(HTTP + "print(url, len(ask('/api/v1/node')['body']))", "--port", str(port))
        assert f"http://127.0.0.1:{port} 2\n" == done.stdout, done.stderr
    with closing(listen("127.0.0.1", port)) as listening:
        assert port == listening.getsockname()[1]


def test_both_ports_are_free_afterwards() -> None:
    """Nothing listens at either URL when the command has ended."""
    done = run_python(HTTP + "print(url); print(control)")
    for line in done.stdout.split():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2])), timeout=5)


def test_a_port_in_use_is_refused() -> None:
    """The status is 2, the message has a hint, and the command is not run."""
    with closing(listen("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run("--port", str(port), "--", "echo", "ran")

    assert (2, "") == (done.returncode, done.stdout)
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use; --port 0 takes a free one\n" == done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [("noodes: []", "noodes"), ("nodes: [{}]", "name"), (": :", ":1: not valid YAML"), (None, "no such file")],
)
def test_an_invalid_scenario_is_status_2(tmp_path: Path, text: str | None, message: str) -> None:
    """The message names the file and the reason, and the command is not run."""
    scenario = tmp_path / "scenario.yaml"
    if text is not None:
        scenario.write_text(text)
    done = run(str(scenario), "--", "echo", "ran")

    assert (2, "") == (done.returncode, done.stdout)
    assert str(scenario) in done.stderr
    assert message in done.stderr


def test_a_scenario_is_validated_for_the_release_of_the_option(tmp_path: Path) -> None:
    """A scenario that its own release does not support is valid with ``--release`` of one that does."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(
        "controller: {release: 1.8.0}\nnodes: [{name: a}]\nfaults: [{match: {event: begin}, do: {node: drain}}]\n"
    )
    refused, ran = (run(*options, str(scenario), "--", "echo", "ran") for options in ((), ("--release", "1.50.1")))

    assert [(2, ""), (0, "ran\n")] == [(done.returncode, done.stdout) for done in (refused, ran)]


@pytest.mark.parametrize("args", [("--clock", "sundial"), ("--release", "1.2"), ("--speed", "0"), ("--nonsense",)])
def test_a_wrong_option_is_status_2(args: tuple[str, ...]) -> None:
    """The message names the option, and the command is not run."""
    done = run(*args, "--", "echo", "ran")

    assert (2, "") == (done.returncode, done.stdout)
    assert args[0] in done.stderr


def test_delayed_responses_do_not_keep_it_from_ending() -> None:
    """``run`` ends with its command, while a response is still delayed."""
    code = (
        HTTP
        + "import socket\n"
        + "ask('/_mock/faults', {'match': {'path': '/api/v1/vm'}, 'do': {'delay': '1h'}})\n"
        + "delayed = socket.create_connection(url[7:].split(':'), 5)\n"
        + "delayed.sendall(b'GET /api/v1/vm HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n"
        + "while not ask('/_mock/requests', base=control)['requests']: pass\n"
    )
    began = time.monotonic()
    done = run_process("--", PYTHON, "-c", code)

    assert 0 == done.returncode, done.stderr
    assert "mockanka report: 1 request\n" in done.stderr
    assert time.monotonic() - began < 10
