"""What things are named by in a scenario."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable


class Names:
    """What things of one kind are named by: a name that only one has, else the id."""

    def __init__(self, named: Iterable[tuple[str, str]]) -> None:
        self.by_id = dict(named)
        self.count = Counter(self.by_id.values())

    def of(self, id: str) -> str:
        name = self.by_id.get(id, id)
        return name if self.count[name] == 1 and name not in self.by_id else id
