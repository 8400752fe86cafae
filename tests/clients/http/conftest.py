"""Running programs of HTTP libraries, each started once for a module."""

from collections.abc import Callable, Iterator

import pytest

from tests.clients.http.programs import HttpProgram, require_program


@pytest.fixture(scope="module")
def program() -> Iterator[Callable[[str], HttpProgram]]:
    """Return a function that returns the running program of a library, or skips the test."""
    running: dict[str, HttpProgram] = {}

    def start(name: str) -> HttpProgram:
        require_program(name)
        if name not in running:
            running[name] = HttpProgram(name)
        return running[name]

    yield start
    for started in running.values():
        started.close()
