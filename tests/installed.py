"""Commands and files of other languages that tests use; ``.ci/clients`` installs them before the tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

INSTALLED = Path(os.environ.get("MOCKANKA_CLIENTS") or Path(__file__).parents[1] / "build" / "clients").absolute()
"""The folder into which ``.ci/clients`` installs."""


def missing_parts(commands: Sequence[str], files: Sequence[str]) -> list[str]:
    """Return the commands that are not on PATH, and the files that are not below INSTALLED."""
    paths = [INSTALLED / file for file in files]
    return [
        *(command for command in commands if shutil.which(command) is None),
        *(str(path) for path in paths if not path.exists()),
    ]


def require_installed(name: str, commands: Sequence[str], files: Sequence[str] = ()) -> None:
    """Skip the test if something that it names cannot run; fail if CI is set."""
    if missing := missing_parts(commands, files):
        reason = f"{name} cannot run without {' and '.join(missing)}: install it by .ci/clients"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
