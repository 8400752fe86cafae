"""Answers do not depend on the process: neither on the seed of its hashes, nor on the version of Python.

Other Pythons are those on PATH, and those of ``MOCKANKA_PYTHONS``, paths like those of PATH; they need the packages of
mockanka. ``.ci/full`` makes environments for all that it finds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.server.answer_hashes import answer_hashes

ROOT = Path(__file__).parents[2]
MINORS = range(11, 16)
"""Minor versions of Python 3 that are looked for."""


@cache
def own_hashes() -> dict[str, str]:
    """Return the hashes of this process."""
    return answer_hashes()


def hashes_of(python: str, hash_seed: str = "random") -> dict[str, str]:
    """Return the hashes of another process."""
    command = [python, "-m", "tests.server.answer_hashes"]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": ""}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, str] = json.loads(ended.stdout)
    return found


def find_python(minor: int) -> str | None:
    """Return the command of a Python 3 with that minor version that has the packages of mockanka, or None."""
    name = f"python3.{minor}"
    script = f"import sys, mockanka.server.asgi; assert sys.version_info[1] == {minor}"
    for path in (os.environ.get("MOCKANKA_PYTHONS", ""), os.environ.get("PATH", "")):
        python = shutil.which(name, path=path)
        if python and not subprocess.run([python, "-c", script], cwd=ROOT, capture_output=True).returncode:
            return python
    return None


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_the_seed_of_hashes_changes_no_answer(hash_seed: str) -> None:
    """No answer depends on the order of a set."""
    assert own_hashes() == hashes_of(sys.executable, hash_seed)
    assert len(set(own_hashes().values())) == 5


@pytest.mark.parametrize("minor", [minor for minor in MINORS if minor != sys.version_info[1]])
def test_another_python_gives_the_same_answers(minor: int) -> None:
    """Python 3 of that minor version, where it is installed with what mockanka needs."""
    python = find_python(minor)
    if python is None:
        pytest.skip(f"there is no python3.{minor} with the packages of mockanka: add its folder to MOCKANKA_PYTHONS")

    assert own_hashes() == hashes_of(python)
