"""What stands in the project's pages, for tests that run it: sessions, scenarios, programs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.processes import serving

ROOT = Path(__file__).parent.parent
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md")} | {
    "README.md": (ROOT / "README.md").read_text("utf-8")
}
"""Every page by its name."""


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a page that are marked with a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], re.DOTALL)


def all_blocks(language: str) -> Iterator[tuple[str, int, str]]:
    """Those of all pages: the page, which one it is there, and the text."""
    for page in sorted(PAGES):
        for number, text in enumerate(blocks(page, language), start=1):
            yield page, number, text


def exchanges(session: str) -> list[tuple[str, str]]:
    """The commands of a session, each with what it is said to print."""
    parts = re.split(r"^\$ (.*)\n", session, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def environment(folder: Path) -> dict[str, str]:
    """One in which ``mockanka`` and ``python`` are those of the tests; ``folder`` is for scripts."""
    command = folder / "mockanka"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mockanka "$@"\n')
    command.chmod(0o755)
    here = Path(sys.executable).parent
    return {**os.environ, "PATH": f"{folder}:{here}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def run_sessions(page: str, folder: Path, *arguments: str) -> Iterator[tuple[str, str, str]]:
    """Every command of a page, in order and as it stands but for the port, with what it is said to print and prints.

    The page must say itself that its controller is served with these arguments.
    """
    assert f"mockanka serve {' '.join(arguments)}\n" in PAGES[page]
    with serving(*arguments) as server:
        for command, expected in (exchange for session in blocks(page, "console") for exchange in exchanges(session)):
            here = command.replace("127.0.0.1:8090", f"127.0.0.1:{server.port}")
            done = subprocess.run(
                ["bash", "-c", here], env=environment(folder), capture_output=True, text=True, check=True, timeout=60
            )
            yield command, expected, done.stdout
