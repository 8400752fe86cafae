"""Field tables: what is said of an object, key by key, in the order of the wire.

A table is the one place where an object's keys differ by release.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from mockanka.core.controller import Controller
from mockanka.core.release import SINCE, Release

Thing = TypeVar("Thing")

OMIT: Final = object()
"""A value that leaves its key out."""


@dataclass(frozen=True)
class Key(Generic[Thing]):
    """One key, and how its value is found; with which feature of the table of releases it came, with which it went."""

    name: str
    get: Callable[[Controller, Thing], object]
    came_with: str | None = None
    went_with: str | None = None

    @property
    def since(self) -> Release | None:
        return SINCE[self.came_with] if self.came_with else None

    @property
    def until(self) -> Release | None:
        return SINCE[self.went_with] if self.went_with else None

    def belongs_to(self, release: Release) -> bool:
        return (self.since is None or release >= self.since) and (self.until is None or release < self.until)


class Table(Generic[Thing]):
    """The keys of one kind of object."""

    def __init__(self, *keys: Key[Thing]) -> None:
        self.keys = keys
        self._of_release: dict[Release, list[Key[Thing]]] = {}

    def render(self, controller: Controller, thing: Thing) -> dict[str, object]:
        release = controller.release
        keys = self._of_release.get(release)
        if keys is None:
            keys = self._of_release[release] = [key for key in self.keys if key.belongs_to(release)]
        values = ((key.name, key.get(controller, thing)) for key in keys)
        return {name: value for name, value in values if value is not OMIT}


def when_set(value: object) -> object:
    """The value, or nothing if it is None, empty or blank: what Go calls omitempty."""
    return value if value or value is False else OMIT
