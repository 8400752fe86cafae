"""Paths of the files that ship with the package: the OpenAPI documents and the scenarios.

In a wheel they are inside the package; in a checkout, and in an editable install of one, beside it.
"""

from pathlib import Path

PACKAGE = Path(__file__).parent


def resource_folder(name: str) -> Path:
    """Return the path of ``openapi`` or ``scenarios``."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def find_resource(name: str) -> Path:
    """Return the path of a file that ships, such as ``openapi/controller.yaml``."""
    folder, _, rest = name.partition("/")
    return resource_folder(folder) / rest
