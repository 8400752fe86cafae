"""Files that commands write: each beside its name first, so that no reader sees a part of it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TextIO


def open_temporary(path: Path) -> tuple[TextIO, Path]:
    """Open a new file beside ``path``, to be renamed to it, and return it with its own path.

    Its name cannot be predicted, and it is no link. Its permissions are those of any new file. Raises OSError.
    """
    number, name = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".part", dir=path.parent)
    mask = os.umask(0)
    os.umask(mask)
    os.fchmod(number, 0o666 & ~mask)
    return open(number, "w", encoding="utf-8"), Path(name)


def write_output(path: Path, text: str) -> None:
    """Write a file: by replacing it, or into what may not be replaced. Raises OSError, which names the file."""
    try:
        if is_replaceable(path):
            write_atomically(path, text)
        else:
            path.write_text(text, "utf-8")
    except OSError as error:
        error.filename = str(path)  # errors of writing have none, and others may name the temporary file
        raise


def is_replaceable(path: Path) -> bool:
    """Return whether a file may be removed: a device such as /dev/null, a pipe or a link may not."""
    return not path.is_symlink() and (path.is_file() or not path.exists())


def write_atomically(path: Path, text: str) -> None:
    """Write a file by replacing it. Raises OSError."""
    file, temporary = open_temporary(path)
    try:
        with file:
            file.write(text)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def missing_folder(path: Path) -> Path | None:
    """Return the folder of a file if it does not exist, as an absolute path where that can be told, else None."""
    if path.parent.is_dir():
        return None
    try:
        return path.absolute().parent
    except OSError:  # the working directory is gone
        return path.parent
