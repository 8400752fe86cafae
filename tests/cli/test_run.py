"""mockanka run: a command with a controller of its own, and nothing left of either."""

from __future__ import annotations

import gc
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from tempfile import TemporaryFile
from unittest.mock import patch

import pytest

from mockanka.cli.main import main
from mockanka.serving import listen

PYTHON = sys.executable
TIMEOUT = 20.0

HTTP = """
import json, os, sys, urllib.request as web
url, control = os.environ["ANKA_CONTROLLER_URL"], os.environ["MOCKANKA_URL"]
def ask(path, body=None, method=None, base=url):
    data = None if body is None else json.dumps(body).encode()
    with web.urlopen(web.Request(base + path, data, method=method), timeout=5) as answer:
        return json.load(answer)
def start(**more):
    return ask("/api/v1/vm", {"vmid": ask("/api/v1/registry/vm")["body"][0]["id"], **more})["body"]
"""
"""What the commands of these tests begin with."""

LEAK = HTTP + "start(external_id='job-1')"
CLEAN = HTTP + "id, = start()\nask('/api/v1/vm', {'id': id}, 'DELETE')"
HAMMER = CLEAN + "\nfor _ in range(25): ask('/api/v1/vm')"


def clean(env: Mapping[str, str]) -> dict[str, str]:
    return {**{name: value for name, value in os.environ.items() if not name.startswith("MOCKANKA_")}, **env}


def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """``mockanka run`` with these arguments, to its end: the command is a process, mockanka runs in this one."""
    with ExitStack() as stack:
        files = [stack.enter_context(TemporaryFile("w+")) for _ in range(2)]
        for number, (stream, file) in enumerate(zip((redirect_stdout, redirect_stderr), files, strict=True), start=1):
            own = os.dup(number)
            stack.callback(os.close, own)
            stack.callback(os.dup2, own, number)
            os.dup2(file.fileno(), number)
            stack.enter_context(stream(stack.enter_context(open(number, "w", 1, closefd=False))))
        stack.enter_context(patch.dict(os.environ, clean(env), clear=True))
        stack.callback(gc.unfreeze)
        with pytest.raises(SystemExit) as ended:
            main.main(["run", *args], "mockanka")
        for file in files:
            file.seek(0)
        return subprocess.CompletedProcess(args, int(str(ended.value.code)), *(file.read() for file in files))


def run_process(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The same with a process for mockanka too."""
    command = [PYTHON, "-m", "mockanka", "run", *args]
    return subprocess.run(command, capture_output=True, text=True, env=clean(env), timeout=TIMEOUT)


def run_python(
    code: str, *args: str, run: Callable[..., subprocess.CompletedProcess[str]] = run, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run Python against a controller whose clock stands still."""
    return run("--clock", "manual", *args, "--", PYTHON, "-c", code, **env)


@contextmanager
def running(code: str, *args: str) -> Iterator[subprocess.Popen[str]]:
    """``mockanka run`` with a command in Python, which has printed its first line."""
    command = [PYTHON, "-m", "mockanka", "run", *args, "--", PYTHON, "-u", "-c", code]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean({}))
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], TIMEOUT)[0]
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=TIMEOUT)


# What the command gets.


def test_the_command_finds_the_controller_in_its_environment() -> None:
    """ANKA_CONTROLLER_URL is the controller, MOCKANKA_URL the control API; both answer by the time it starts."""
    done = run_python(HTTP + "print(len(ask('/api/v1/node')['body']), ask('/_mock/health', base=control)['status'])")

    assert (0, "2 ok\n") == (done.returncode, done.stdout)


def test_the_two_urls_are_two_ports_of_one_controller() -> None:
    """What is started by one is seen by the other, and both have the control API."""
    done = run_python(
        HTTP
        + "id, = start()\nprint(url != control, ask('/api/v1/vm?id=' + id, base=control)['status'],"
        + " ask('/_mock/clock')['mode'], ask('/_mock/clock', base=control)['mode'])"
    )

    assert "True OK manual manual\n" == done.stdout


def test_the_control_url_answers_while_connections_are_refused() -> None:
    """A command may have its controller refuse, and let it in again."""
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
    """The command sees what mockanka saw, but for a URL of a controller that is not its own."""
    code = "import os; print(os.environ['MINE'], os.environ['ANKA_CONTROLLER_URL'] == 'http://elsewhere')"
    done = run_python(code, MINE="x", ANKA_CONTROLLER_URL="http://elsewhere", MOCKANKA_URL="http://elsewhere")

    assert "x False\n" == done.stdout


def test_the_commands_arguments_are_its_own() -> None:
    """Whatever stands behind the first -- reaches it as it is, options and a second -- included."""
    done = run("--clock", "manual", "--", PYTHON, "-c", "import sys; print(sys.argv[1:])", "--port", "x", "--", "-h")

    assert (0, "['--port', 'x', '--', '-h']\n") == (done.returncode, done.stdout)


def test_scenario_and_options_are_those_of_serve() -> None:
    """A scenario, a seed, a release, a clock."""
    code = (
        HTTP + "told = ask('/_mock/scenario'); print(told['seed'], told['controller']['release'], len(told['nodes']))"
    )
    done = run("fleet", "--seed", "7", "--release", "1.24.0", "--clock", "step", "--", PYTHON, "-c", code)

    assert "7 1.24.0 100\n" == done.stdout


def test_options_may_come_from_the_environment() -> None:
    """MOCKANKA_SCENARIO, _SEED and _CLOCK do what the arguments do."""
    code = HTTP + "told = ask('/_mock/scenario'); print(told['seed'], told['clock']['mode'], len(told['nodes']))"
    done = run("--", PYTHON, "-c", code, MOCKANKA_SCENARIO="fleet", MOCKANKA_SEED="7", MOCKANKA_CLOCK="manual")

    assert "7 manual 100\n" == done.stdout


def test_standard_input_is_the_commands() -> None:
    """What is piped in reaches the command."""
    command = [PYTHON, "-m", "mockanka", "run", "--", "cat"]
    done = subprocess.run(command, input="hello", capture_output=True, text=True, env=clean({}), timeout=TIMEOUT)

    assert "hello" == done.stdout


# How it ends.


@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_the_commands_status_is_passed_on(status: int) -> None:
    """It ends as the command ended."""
    assert status == run_process("--", "sh", "-c", f"exit {status}").returncode


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_command_that_a_signal_ends_gives_128_and_its_number(number: signal.Signals) -> None:
    """As a shell says it."""
    assert 128 + number == run("--", "sh", "-c", f"kill -{number.value} $$").returncode


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2]
)
def test_signals_are_forwarded(number: signal.Signals) -> None:
    """A command that handles them ends as it likes, and mockanka with it."""
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
    """128 and its number, and the report is printed all the same."""
    code = f"import signal, time\nsignal.signal({number.value}, signal.SIG_DFL)\nprint('ready')\ntime.sleep(20)"
    with running(code) as process:
        began = time.monotonic()
        process.send_signal(number)
        _, said = process.communicate(timeout=TIMEOUT)

        assert 128 + number == process.returncode
        assert time.monotonic() - began < 3
        assert "mockanka report: 0 requests" in said


def test_a_command_that_ignores_a_signal_goes_on() -> None:
    """mockanka does not end before its command."""
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
        said, _ = process.communicate(timeout=TIMEOUT)

        assert (0, ["ready", "no", "done"]) == (process.returncode, said.split())


def test_a_command_at_a_terminal_hears_ctrl_c_once() -> None:
    """The terminal sends it to the command as well, so mockanka does not pass it on; and it outlives it."""
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
        "me = sys.executable\n"
        "os.execv(me, [me, '-m', 'mockanka', 'run', '--', me, '-u', '-c', sys.argv[2]])"
    )
    keyboard, terminal = pty.openpty()
    command = [PYTHON, "-c", at_terminal, os.ttyname(terminal), counts]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean({}), start_new_session=True
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


def test_a_command_that_is_not_there_is_127() -> None:
    """As a shell says it, before anything is served."""
    done = run("--", "no-such-command-anywhere", "x")

    assert (127, "") == (done.returncode, done.stdout)
    assert "cannot run no-such-command-anywhere: there is no such command\n" == done.stderr


def test_a_command_that_cannot_be_run_is_126(tmp_path: Path) -> None:
    """A file that is not executable, and one whose interpreter is not there."""
    plain, broken = tmp_path / "plain", tmp_path / "broken"
    plain.write_text("x")
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    first, second = run("--", str(plain)), run("--", str(broken))

    assert (126, f"cannot run {plain}: it is not executable\n") == (first.returncode, first.stderr)
    assert 126 == second.returncode
    assert f"cannot run {broken}: " in second.stderr


@pytest.mark.parametrize("args", [(), ("default",), ("--seed", "1"), ("default", "--")])
def test_no_command_is_an_error_that_shows_how(args: tuple[str, ...]) -> None:
    """Status 2, and an example."""
    done = run(*args)

    assert (2, "") == (done.returncode, done.stdout)
    assert "the command to run stands behind --: mockanka run default -- go test ./..." in done.stderr


def test_a_command_without_dashes_is_an_error() -> None:
    """What stands in front of -- is ours, so that no option is taken by the wrong one."""
    done = run("default", "true")

    assert (2, "") == (done.returncode, done.stdout)
    assert "true" in done.stderr


# What it says.


def test_standard_output_is_the_commands_alone() -> None:
    """To the byte; the report is on standard error, after what the command says there."""
    done = run_python(HTTP + "sys.stdout.write('out'); sys.stderr.write('mine\\n'); ask('/api/v1/vm')", run=run_process)
    lines = done.stderr.splitlines()

    assert "out" == done.stdout
    assert lines[0].startswith("mockanka ")
    assert "mine" == lines[1]
    assert ["mockanka report: 1 request", "  no findings"] == lines[2:]


def test_the_report_tells_what_the_client_did_wrong() -> None:
    """Leaks with their external id and their request."""
    done = run_python(LEAK)

    assert 0 == done.returncode
    assert "mockanka report: 2 requests\n  leaks: instance " in done.stderr
    assert ", external_id 'job-1' is still Scheduling (#2)" in done.stderr


def test_the_report_tells_what_was_found_before_a_reset() -> None:
    """Who begins anew, as between two tests, hides nothing; strictness looks at all of it."""
    code = HTTP + "ask('/api/v1/vm?id=nobody')\nask('/_mock/reset', {}, base=control)\nask('/api/v1/vm?id=nowhere')"
    done = run_python(code.replace("json.load(answer)", "answer.read()"), "--strict", "--release", "1.8.0")

    assert 1 == done.returncode
    assert [
        "mockanka report: 2 requests",
        "  unknown-ids: GET /api/v1/vm: there never was a 'nobody' (#1)",
        "  unknown-ids: GET /api/v1/vm: there never was a 'nowhere', after reset 1 (#1)",
    ] == done.stderr.splitlines()[1:4]


def test_the_report_comes_also_when_the_command_fails() -> None:
    """What went wrong may be what the report says."""
    done = run_python(LEAK + "; sys.exit(4)")

    assert 4 == done.returncode
    assert "  leaks: instance " in done.stderr


def test_the_report_tells_of_faults_that_never_struck(tmp_path: Path) -> None:
    """Those of the scenario included."""
    world = tmp_path / "world.yaml"
    world.write_text("faults: [{id: idle, do: {status: 503}}]")
    done = run(str(world), "--", "true")

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
    """On all kinds, or on those that are named alone; a command that failed keeps its own status."""
    assert status == run_python(code, *args).returncode


@pytest.mark.parametrize(("env", "status"), [({"MOCKANKA_STRICT": "1"}, 1), ({"MOCKANKA_STRICT_ON": "hammering"}, 0)])
def test_strictness_may_come_from_the_environment(env: dict[str, str], status: int) -> None:
    """As every option."""
    assert status == run_python(LEAK, **env).returncode


def test_a_strictness_that_is_none_is_refused() -> None:
    """Status 2, the kinds there are, and the command is not run."""
    done = run("--strict-on", "leak", "--", "echo", "ran")

    assert (2, "") == (done.returncode, done.stdout)
    assert "'leak' is no kind of finding: there are leaks, double-starts" in done.stderr


# The ready file, the port, the scenario.


def test_the_ready_file_is_there_while_the_command_runs(tmp_path: Path) -> None:
    """It says both URLs and the process id, and is gone afterwards."""
    ready = tmp_path / "ready.json"
    ready.write_text("an earlier one")
    code = f"import os; print(open({str(ready)!r}).read()); print(os.environ['ANKA_CONTROLLER_URL'], os.getppid())"
    done = run_python(code, "--ready-file", str(ready))
    line, url_and_parent = done.stdout.replace("\n\n", "\n").splitlines()
    said = json.loads(line)

    assert {"url", "control_url", "pid"} == set(said)
    assert f"{said['url']} {said['pid']}" == url_and_parent
    assert [] == list(tmp_path.iterdir())


def test_the_ready_file_goes_also_when_the_command_is_killed(tmp_path: Path) -> None:
    """Whoever looks finds no server that is not there."""
    ready = tmp_path / "ready.json"
    run("--ready-file", str(ready), "--", "sh", "-c", "kill -9 $$")

    assert [] == list(tmp_path.iterdir())


def test_a_ready_file_in_no_folder_is_refused(tmp_path: Path) -> None:
    """Status 2, and the command is not run."""
    done = run("--ready-file", str(tmp_path / "none" / "ready.json"), "--", "echo", "ran")

    assert (2, "") == (done.returncode, done.stdout)
    assert "there is no folder" in done.stderr


def test_a_port_may_be_chosen_and_is_free_afterwards() -> None:
    """The controller is at that port while the command runs; then others may have it, again and again."""
    with closing(listen("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    for _ in range(2):
        done = run_python(HTTP + "print(url, len(ask('/api/v1/node')['body']))", "--port", str(port))
        assert f"http://127.0.0.1:{port} 2\n" == done.stdout, done.stderr
    with closing(listen("127.0.0.1", port)) as again:
        assert port == again.getsockname()[1]


def test_both_ports_are_free_afterwards() -> None:
    """Nothing listens at either URL when the command has ended."""
    done = run_python(HTTP + "print(url); print(control)")
    for line in done.stdout.split():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(line.rpartition(":")[2])), timeout=5)


def test_a_port_that_is_taken_is_refused() -> None:
    """Status 2, a hint, and the command is not run."""
    with closing(listen("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--port", str(port), "--", "echo", "ran")

    assert (2, "") == (done.returncode, done.stdout)
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use; --port 0 takes a free one\n" == done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [("noodes: []", "noodes"), ("nodes: [{}]", "name"), (": :", ":1: not valid YAML"), (None, "no such file")],
)
def test_a_broken_scenario_is_status_2(tmp_path: Path, text: str | None, said: str) -> None:
    """The reason is told, and the command is not run."""
    world = tmp_path / "world.yaml"
    if text is not None:
        world.write_text(text)
    done = run(str(world), "--", "echo", "ran")

    assert (2, "") == (done.returncode, done.stdout)
    assert str(world) in done.stderr
    assert said in done.stderr


def test_a_scenario_is_judged_by_the_release_that_is_given(tmp_path: Path) -> None:
    """The command runs where the release beats a scenario's that knows less."""
    world = tmp_path / "world.yaml"
    world.write_text(
        "controller: {release: 1.8.0}\nnodes: [{name: a}]\nfaults: [{match: {event: begin}, do: {node: drain}}]\n"
    )
    refused, ran = (run(*more, str(world), "--", "echo", "ran") for more in ((), ("--release", "1.50.1")))

    assert [(2, ""), (0, "ran\n")] == [(done.returncode, done.stdout) for done in (refused, ran)]


@pytest.mark.parametrize("args", [("--clock", "sundial"), ("--release", "1.2"), ("--speed", "0"), ("--nonsense",)])
def test_a_broken_option_is_status_2(args: tuple[str, ...]) -> None:
    """The command is not run."""
    done = run(*args, "--", "echo", "ran")

    assert (2, "") == (done.returncode, done.stdout)
    assert args[0] in done.stderr


def test_requests_that_hang_do_not_keep_it_from_ending() -> None:
    """A command that ends while an answer is delayed leaves nothing to wait for."""
    code = (
        HTTP
        + "import socket\n"
        + "ask('/_mock/faults', {'match': {'path': '/api/v1/vm'}, 'do': {'delay': '1h'}})\n"
        + "hangs = socket.create_connection(url[7:].split(':'), 5)\n"
        + "hangs.sendall(b'GET /api/v1/vm HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n"
        + "while not ask('/_mock/requests', base=control)['requests']: pass\n"
    )
    began = time.monotonic()
    done = run_process("--", PYTHON, "-c", code)

    assert 0 == done.returncode, done.stderr
    assert "mockanka report: 1 request\n" in done.stderr
    assert time.monotonic() - began < 10
