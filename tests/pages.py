"""Sessions, scenarios and programs of the project's pages, for tests that run them."""

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
"""The text of every page by its path."""


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], re.DOTALL)


def all_blocks(language: str) -> Iterator[tuple[str, int, str]]:
    """Yield the blocks of all pages in a language: the page, the number of the block in it, and the text."""
    for page in sorted(PAGES):
        for number, text in enumerate(blocks(page, language), start=1):
            yield page, number, text


def exchanges(session: str) -> list[tuple[str, str]]:
    """Return the commands of a session, each with the output that the page shows."""
    parts = re.split(r"^\$ (.*)\n", session, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which ``mockanka`` and ``python`` are those of the tests; ``folder`` is for scripts."""
    command = folder / "mockanka"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mockanka "$@"\n')
    command.chmod(0o755)
    python_folder = Path(sys.executable).parent
    return {**os.environ, "PATH": f"{folder}:{python_folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def run_sessions(page: str, folder: Path, *arguments: str) -> Iterator[tuple[str, str, str]]:
    """Run all commands of a page in order, and yield each with the output that the page shows and the real output.

    Only the port is replaced. The page must say that its controller is served with these arguments.
    """
    assert f"mockanka serve {' '.join(arguments)}\n" in PAGES[page]
    with serving(*arguments) as server:
        for command, expected in (exchange for session in blocks(page, "console") for exchange in exchanges(session)):
            local = command.replace("127.0.0.1:8090", f"127.0.0.1:{server.port}")
            done = subprocess.run(
                ["bash", "-c", local],
                env=environment(folder),
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            yield command, expected, done.stdout
