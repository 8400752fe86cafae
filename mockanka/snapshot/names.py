"""How a scenario refers to objects: by name where that is unique."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


class UniqueNames:
    """The objects of one kind by id, and how to refer to each."""

    def __init__(self, named: Iterable[tuple[str, str]]) -> None:
        """Take pairs of id and name."""
        self.by_id = dict(named)
        self._count = Counter(self.by_id.values())

    def reference(self, id: str) -> str:
        """Return the name if no other object has it as its name or id, else the id."""
        name = self.by_id.get(id, id)
        return name if self._count[name] == 1 and name not in self.by_id else id
