"""The contract and the scenarios, wherever they were installed to.

In a wheel they lie inside the package; in a checkout, and in an editable install of one, beside it.
"""

from pathlib import Path

PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """``openapi`` or ``scenarios``."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def find(name: str) -> Path:
    """A file that ships, such as ``openapi/controller.yaml``."""
    directory, _, rest = name.partition("/")
    return folder(directory) / rest
