"""Standard output and standard error of a command, when they cannot be written."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputFailed(OSError):
    """Standard output cannot be written."""


class _StandardOutput(io.FileIO):
    """Standard output, whose errors can be told from those of files."""

    def write(self, data: ReadableBuffer, /) -> int | None:  # type: ignore[override]
        try:
            return super().write(data)
        except OSError as error:
            raise OutputFailed(error.errno, error.strerror) from None


class _StandardError(io.FileIO):
    """Standard error. Messages that cannot be written are lost, and the command goes on."""

    def write(self, data: ReadableBuffer, /) -> int | None:  # type: ignore[override]
        length = memoryview(data).nbytes
        try:
            written = super().write(data)
        except OSError:
            return length
        return length if written is None else written


def guard_output_streams() -> None:
    """Replace standard output and standard error by streams that end no command with a traceback."""
    if sys.stdout is not None:
        sys.stdout = _wrap(sys.stdout, _StandardOutput)
    if sys.stderr is not None:
        sys.stderr = _wrap(sys.stderr, _StandardError)


def _wrap(stream: TextIO, kind: type[io.FileIO]) -> TextIO:
    try:
        raw = kind(stream.fileno(), "w", closefd=False)
    except (OSError, ValueError):  # it is no file, as in a test
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=stream.encoding, errors=stream.errors, line_buffering=True, write_through=True
    )


def abandon_output() -> None:
    """Let what is still buffered for standard output go nowhere, so that the end of the process does not fail."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
