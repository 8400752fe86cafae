"""Field tables: the keys of an object in responses, in their order.

A table is the one place where an object's keys differ by release.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from mockanka.core.controller import Controller
from mockanka.core.release import SINCE, Release

Entity = TypeVar("Entity")

OMIT: Final = object()
"""A value that leaves its key out."""


@dataclass(frozen=True)
class Key(Generic[Entity]):
    """A key of an object, and how its value is computed.

    ``added_with`` and ``removed_with`` name the features of the table of releases with which the key came and went.
    """

    name: str
    get: Callable[[Controller, Entity], object]
    added_with: str | None = None
    removed_with: str | None = None

    @property
    def since(self) -> Release | None:
        """The first release that has the key, if the oldest one does not."""
        return SINCE[self.added_with] if self.added_with else None

    @property
    def until(self) -> Release | None:
        """The first release that does not have the key any more, if there is one."""
        return SINCE[self.removed_with] if self.removed_with else None

    def belongs_to(self, release: Release) -> bool:
        """True if a release has the key."""
        return (self.since is None or release >= self.since) and (self.until is None or release < self.until)


class FieldTable(Generic[Entity]):
    """The keys of one kind of object.

    ``orders`` are other orders of the keys by the feature that came with each, oldest first.
    """

    def __init__(self, *keys: Key[Entity], orders: Mapping[str, str] | None = None) -> None:
        self.keys = keys
        self._orders = {SINCE[feature]: order.split() for feature, order in (orders or {}).items()}
        self._by_release: dict[Release, list[Key[Entity]]] = {}

    def render(self, controller: Controller, entity: Entity) -> dict[str, object]:
        """Return an object with the keys of the controller's release."""
        release = controller.release
        keys = self._by_release.get(release)
        if keys is None:
            keys = self._by_release[release] = self._keys_of(release)
        values = ((key.name, key.get(controller, entity)) for key in keys)
        return {name: value for name, value in values if value is not OMIT}

    def _keys_of(self, release: Release) -> list[Key[Entity]]:
        keys = [key for key in self.keys if key.belongs_to(release)]
        orders = [order for since, order in self._orders.items() if release >= since]
        return sorted(keys, key=lambda key: orders[-1].index(key.name)) if orders else keys


def omit_empty(value: object) -> object:
    """Return the value, or OMIT if it is None, empty or 0, as Go's ``omitempty`` does; False is kept."""
    return value if value or value is False else OMIT
