"""The files that ``mockanka run`` writes: the journal, the report, and the findings as a JUnit report."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from junitparser import Failure, JUnitXml, Skipped

from mockanka.simulator.client_report import FINDING_KINDS
from tests.cli.commands import CLEAN, HTTP, LEAK, TIMEOUT, run, run_python, running

NAMES = ("journal", "report", "junit")
UNKNOWN_FIELDS = HTTP + "id, = start(vnc=True, usb=1)\nask('/api/v1/vm', {'id': id}, 'DELETE')"
"""A program with two findings, about the fields vnc and usb."""


def options_for(folder: Path) -> list[str]:
    """Return the options that write the three files to a folder."""
    return [word for name in NAMES for word in (f"--{name}", str(folder / name))]


def read_journal(folder: Path) -> list[dict[str, Any]]:
    """Return the entries of the journal's file."""
    return [json.loads(line) for line in (folder / "journal").read_text().splitlines()]


def read_report(folder: Path) -> dict[str, Any]:
    """Return the report."""
    report: dict[str, Any] = json.loads((folder / "report").read_text())
    return report


def read_cases(folder: Path) -> list[tuple[str, str, str]]:
    """Return the kind, the name and the outcome of each test case of the JUnit report."""
    outcomes = {Failure: "failed", Skipped: "skipped"}
    return [
        (case.classname, case.name, outcomes[type(case.result[0])] if case.result else "passed")
        for suite in JUnitXml.fromfile(str(folder / "junit"))
        for case in suite
    ]


def test_the_journal_has_each_request_on_a_line(tmp_path: Path) -> None:
    """An entry is what the control API shows, and the number of resets before it."""
    program = CLEAN + "\nprint(json.dumps(ask('/_mock/requests', base=control)['requests']))"
    done = run_python(program, *options_for(tmp_path))

    assert [{"resets": 0, **entry} for entry in json.loads(done.stdout)] == read_journal(tmp_path)
    assert ["GET", "POST", "DELETE"] == [entry["method"] for entry in read_journal(tmp_path)]


def test_the_journal_has_the_requests_before_a_reset_and_those_that_were_cleared(tmp_path: Path) -> None:
    """A suite that resets or clears between its tests loses none, and none is there twice."""
    program = (
        HTTP
        + """
for path in ('a', 'b'): ask('/api/v1/vm?x=' + path)
ask('/_mock/requests', method='DELETE', base=control)
ask('/api/v1/vm?x=c')
ask('/_mock/reset', {}, base=control)
ask('/api/v1/vm?x=d')
ask('/_mock/scenario', ask('/_mock/scenario', base=control), 'PUT', base=control)
ask('/api/v1/vm?x=e')
"""
    )
    done = run_python(program, *options_for(tmp_path))
    entries = [(entry["resets"], entry["number"], entry["query"]["x"]) for entry in read_journal(tmp_path)]

    assert [(0, 1, "a"), (0, 2, "b"), (0, 3, "c"), (1, 1, "d"), (2, 1, "e")] == entries, done.stderr


def test_the_journal_has_the_requests_that_were_dropped(tmp_path: Path) -> None:
    """All requests are in the file, in order, also those that the journal could not keep; the report counts these."""
    program = HTTP + "for _ in range(5):\n    ask('/api/v1/status')"
    done = run_python(program, "--journal-limit", "0", *options_for(tmp_path))

    assert [1, 2, 3, 4, 5] == [entry["number"] for entry in read_journal(tmp_path)]
    assert [200] * 5 == [entry["status"] for entry in read_journal(tmp_path)]
    assert "5 requests, 4 of them dropped from the journal" in done.stderr


def test_the_report_has_the_findings_and_which_of_them_count(tmp_path: Path) -> None:
    """The report is that of the control API, with the command and its status."""
    program = LEAK + "\nprint(json.dumps(ask('/_mock/report', base=control)))"
    done = run_python(program, *options_for(tmp_path), "--strict")
    report = read_report(tmp_path)
    command, status = report.pop("command"), report.pop("command_status")
    (finding,) = report["findings"]

    assert 1 == done.returncode
    assert (program, 0, True) == (command[-1], status, finding.pop("counts"))
    assert json.loads(done.stdout) == report


def test_the_findings_are_test_cases(tmp_path: Path) -> None:
    """Each finding is a case that failed, each kind without findings one that passed."""
    run_python(LEAK, *options_for(tmp_path))
    failed = [(kind, name) for kind, name, outcome in read_cases(tmp_path) if outcome == "failed"]
    passed = [(kind, name) for kind, name, outcome in read_cases(tmp_path) if outcome == "passed"]
    (finding,) = read_report(tmp_path)["findings"]

    assert [("leaks", finding["message"])] == failed
    assert [(kind, f"no {kind}") for kind in FINDING_KINDS if kind != "leaks"] == passed


@pytest.mark.parametrize(
    ("args", "status", "counted"),
    [
        ([], 0, ["usb", "vnc"]),
        (["--strict"], 1, ["usb", "vnc"]),
        (["--strict", "--allow", "unknown-fields:vnc"], 1, ["usb"]),
        (["--strict", "--allow", "unknown-fields:vnc", "--allow", "unknown-fields:usb"], 0, []),
        (["--strict", "--allow", "unknown-fields:vnc,unknown-fields:usb"], 0, []),
        (["--strict", "--allow", "unknown-fields"], 0, []),
        (["--strict", "--allow", "leaks"], 1, ["usb", "vnc"]),
        (["--strict-on", "unknown-fields", "--allow", "unknown-fields:usb"], 1, ["vnc"]),
        (["--strict-on", "leaks"], 0, []),
        (["--allow", "unknown-fields:vnc"], 0, ["usb"]),
    ],
)
def test_findings_that_are_allowed_do_not_count(
    tmp_path: Path, args: list[str], status: int, counted: list[str]
) -> None:
    """They are reported, but fail neither the run nor their test case."""
    done = run_python(UNKNOWN_FIELDS, *options_for(tmp_path), *args)
    findings = read_report(tmp_path)["findings"]
    cases = [(name, outcome) for kind, name, outcome in read_cases(tmp_path) if kind == "unknown-fields"]

    assert (status, 2) == (done.returncode, done.stderr.count("  unknown-fields: ")), done.stderr
    assert counted == sorted(finding["field"] for finding in findings if finding["counts"])
    assert [(finding["message"], "failed" if finding["counts"] else "skipped") for finding in findings] == cases


def test_options_of_files_and_allowances_may_come_from_the_environment(tmp_path: Path) -> None:
    """Each has its variable."""
    env = {f"MOCKANKA_{name.upper()}": str(tmp_path / name) for name in NAMES}
    done = run_python(
        UNKNOWN_FIELDS,
        "--strict",
        run=run,
        **env,
        MOCKANKA_ALLOW="unknown-fields:vnc unknown-fields:usb",
    )

    assert 0 == done.returncode
    assert sorted(NAMES) == sorted(path.name for path in tmp_path.iterdir())


def test_a_wrong_allowance_ends_with_2() -> None:
    """The message names the option and the kinds, and the command is not run."""
    done = run("--allow", "leak", "--", "echo", "ran")

    assert (2, "") == (done.returncode, done.stdout)
    assert "Invalid value for '--allow': 'leak' is no kind of finding: there are leaks, double-starts" in done.stderr


@pytest.mark.parametrize("ending", ["sys.exit(4)", "os.kill(os.getpid(), 9)", "raise SystemError"])
def test_the_files_are_written_however_the_command_ends(tmp_path: Path, ending: str) -> None:
    """A command that fails, or that a signal kills, has its journal, report and test cases too."""
    done = run_python(f"{LEAK}\n{ending}", *options_for(tmp_path))

    assert done.returncode in (4, 128 + 9, 1)
    assert done.returncode == read_report(tmp_path)["command_status"]
    assert ["GET", "POST"] == [entry["method"] for entry in read_journal(tmp_path)]
    assert "failed" in [outcome for _, _, outcome in read_cases(tmp_path)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_files_are_written_when_mockanka_is_signalled_again_and_again(
    tmp_path: Path, number: signal.Signals
) -> None:
    """The signals end the command; those after its end break nothing off."""
    program = f"import signal, time\nsignal.signal({number.value}, signal.SIG_DFL)\n{HTTP}start()\nprint('ready')\n"
    program += "time.sleep(20)"
    with running(program, "--clock", "manual", *options_for(tmp_path)) as process:
        _signal_until_ended(process, number)

        assert 128 + number == process.returncode
    assert 128 + number == read_report(tmp_path)["command_status"]
    assert 2 == len(read_journal(tmp_path))
    assert len(FINDING_KINDS) == len(read_cases(tmp_path))


def _signal_until_ended(process: subprocess.Popen[str], number: signal.Signals) -> None:
    deadline = time.monotonic() + TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(number)
        time.sleep(0.002)


def test_files_of_an_earlier_run_do_not_stay(tmp_path: Path) -> None:
    """They would be taken for those of a run that cannot begin."""
    for name in NAMES:
        (tmp_path / name).write_text("an earlier run")
    done = run("no-such-scenario", *options_for(tmp_path), "--", "echo", "ran")

    assert (2, "") == (done.returncode, done.stdout)
    assert [("journal", "")] == [(path.name, path.read_text()) for path in tmp_path.iterdir()]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_in_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    """The status is 2, and the command is not run."""
    done = run(f"--{name}", str(tmp_path / "none" / "file"), "--", "echo", "ran")

    assert (2, "") == (done.returncode, done.stdout)
    assert f"--{name}: there is no folder {tmp_path / 'none'}" in done.stderr


def test_a_file_that_cannot_be_written_at_the_end_is_status_2(tmp_path: Path) -> None:
    """The reason is printed beside the report; a command that failed keeps its own status."""
    folder = tmp_path / "folder"
    for ending, status in (("", 2), ("sys.exit(4)", 4)):
        folder.mkdir()
        program = f"{CLEAN}\nimport shutil; shutil.rmtree({str(folder)!r})\n{ending}"
        done = run_python(program, "--report", str(folder / "report"))

        assert status == done.returncode
        assert f"cannot write {folder}" in done.stderr
        assert "mockanka report: 3 requests" in done.stderr


def test_a_journal_that_cannot_be_written_fails_no_reset(tmp_path: Path) -> None:
    """The reset goes on, and the run ends with status 2 and the reason."""
    folder = tmp_path / "folder"
    folder.mkdir()
    program = f"""{HTTP}
import shutil
ask('/api/v1/vm')
shutil.rmtree({str(folder)!r})
print(ask('/_mock/reset', {{}}, base=control)['status'])
"""
    done = run_python(program, "--journal", str(folder / "journal"))

    assert (2, "ok\n") == (done.returncode, done.stdout)
    assert f"cannot write {folder / 'journal'}: No such file or directory\n" in done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_a_link_is_written_to_and_not_replaced(tmp_path: Path, name: str) -> None:
    """A device such as /dev/null must not be removed either."""
    target, link = tmp_path / "target", tmp_path / name
    link.symlink_to(target)
    done = run_python(CLEAN, f"--{name}", str(link))

    assert 0 == done.returncode, done.stderr
    assert link.is_symlink()
    assert target.read_text()
