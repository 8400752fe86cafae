"""Commands whose output cannot be written, whose working directory is gone, or whose terminal is closed."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from mockanka.cli.common import ReadyFile
from mockanka.output_files import write_atomically, write_output
from tests.cli.commands import CLEAN, PYTHON, TIMEOUT, clean_environment

FULL = Path("/dev/full")
"""A device that can be opened, but not written."""
MOCKANKA = [PYTHON, "-m", "mockanka"]
needs_full = pytest.mark.skipif(not FULL.exists(), reason="only Linux has /dev/full")


def run_full(*args: str, streams: str) -> subprocess.CompletedProcess[str]:
    """Run mockanka with ``stdout``, ``stderr`` or both full, and return its status and what else it printed."""
    with FULL.open("w") as full:
        targets = {name: full if name in streams else subprocess.PIPE for name in ("stdout", "stderr")}
        return subprocess.run(
            [*MOCKANKA, *args], text=True, env=clean_environment({}), timeout=TIMEOUT, check=False, **targets
        )


@needs_full
@pytest.mark.parametrize(
    "args", [["scenario", "list"], ["openapi"], ["serve", "empty", "--port", "0"], ["--help"]], ids=" ".join
)
def test_full_standard_output_is_named(args: list[str], tmp_path: Path) -> None:
    """The command ends with status 2 and one message, and a server leaves no ready file."""
    options = ["--ready-file", str(tmp_path / "ready")] if args[0] == "serve" else []
    done = run_full(*args, *options, streams="stdout")

    assert (2, "standard output cannot be written: No space left on device\n") == (done.returncode, done.stderr)
    assert [] == list(tmp_path.iterdir())


@needs_full
@pytest.mark.parametrize("status", [0, 7])
def test_a_run_with_full_output_has_the_status_of_its_command(status: int, tmp_path: Path) -> None:
    """The report is lost, the files are written, and the status is that of the command."""
    report, ready = tmp_path / "report", tmp_path / "ready"
    code = f"{CLEAN}\nraise SystemExit({status})"
    options = ["--clock", "manual", "--report", str(report), "--ready-file", str(ready)]
    done = run_full("run", *options, "--", PYTHON, "-c", code, streams="stdout stderr")

    assert status == done.returncode
    assert status == json.loads(report.read_text())["command_status"]
    assert ["report"] == [file.name for file in tmp_path.iterdir()]


@needs_full
def test_full_standard_error_loses_messages_only() -> None:
    """An error ends with the status that it has anyway, and a list is printed."""
    wrong, listed = (run_full(*args, streams="stderr") for args in (["scenario", "show", "x"], ["scenario", "list"]))

    assert (2, "") == (wrong.returncode, wrong.stdout)
    assert 0 == listed.returncode
    assert "fleet" in listed.stdout


def run_in_missing_folder(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run mockanka in a working directory that is removed before it starts."""
    folder.mkdir()
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    command = ["sh", "-c", script, "sh", str(folder), *MOCKANKA, *args]
    return subprocess.run(
        command, capture_output=True, text=True, env=clean_environment({}), timeout=TIMEOUT, check=False
    )


def test_a_working_directory_that_is_gone_is_no_traceback(tmp_path: Path) -> None:
    """A command runs; a file that cannot be written there is named."""
    # The program has no working directory either, so that it must not import from there.
    done = run_in_missing_folder(tmp_path / "a", "run", "--", PYTHON, "-I", "-c", "raise SystemExit(5)")
    refused = run_in_missing_folder(tmp_path / "b", "run", "--report", "report", "--", PYTHON, "-I", "-c", "")

    assert 5 == done.returncode, done.stderr
    assert 2 == refused.returncode
    assert "report" in refused.stderr
    assert "Traceback" not in done.stderr + refused.stderr


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_server_whose_terminal_is_closed_removes_its_ready_file(number: int, tmp_path: Path) -> None:
    """SIGHUP ends a server as SIGTERM does."""
    ready = tmp_path / "ready"
    command = [*MOCKANKA, "serve", "empty", "--port", "0", "--ready-file", str(ready)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environment({})
    ) as process:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], TIMEOUT)[0]
        process.stdout.readline()
        was_ready = ready.exists()
        process.send_signal(number)
        errors = process.communicate(timeout=TIMEOUT)[1]

    assert (True, False, 0) == (was_ready, ready.exists(), process.returncode)
    assert "Traceback" not in errors


def test_temporary_files_follow_no_links(tmp_path: Path) -> None:
    """A link beside the output is not written through, whatever its name is, and the file is a usual one."""
    other, output = tmp_path / "other", tmp_path / "out"
    other.write_text("untouched")
    links = [tmp_path / name for name in (".out.part", "out.part", "out.tmp", ".out.tmp")]
    for link in links:
        link.symlink_to(other)
    mask = os.umask(0o027)
    try:
        write_atomically(output, "text")
    finally:
        os.umask(mask)

    assert ("untouched", "text", 0o640) == (other.read_text(), output.read_text(), output.stat().st_mode & 0o777)
    assert {other, output, *links} == set(tmp_path.iterdir())


def test_what_is_no_usual_file_is_written_and_stays(tmp_path: Path) -> None:
    """A pipe stands for devices, such as /dev/null, which root could replace by a file."""
    pipe, link, target = tmp_path / "pipe", tmp_path / "link", tmp_path / "target"
    os.mkfifo(pipe)
    link.symlink_to(target)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_output(pipe, "snapshot\n")
        with ReadyFile(pipe) as ready:
            ready.write({"pid": 1})
        assert b'snapshot\n{"pid": 1}\n' == os.read(reading, 100)
    finally:
        os.close(reading)
    write_output(link, "report")

    assert pipe.is_fifo()
    assert (True, "report") == (link.is_symlink(), target.read_text())
    assert {pipe, link, target} == set(tmp_path.iterdir())


@needs_full
def test_the_error_of_a_full_file_names_it(tmp_path: Path) -> None:
    link = tmp_path / "report"
    link.symlink_to(FULL)
    with pytest.raises(OSError, match="No space left") as caught:
        write_output(link, "text")

    assert str(link) == caught.value.filename
