"""A dictionary with a limit."""

from __future__ import annotations

from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedDict(dict[K, V]):
    """A dictionary that drops its oldest key when ``d[key] = value`` gives it more than ``limit`` of them.

    The age of a key counts from when it was added; a new value does not change it.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        if len(self) > self.limit:
            del self[next(iter(self))]

    def __reduce__(self) -> tuple[Any, ...]:
        """Have copies made with the limit before they get their keys."""
        return type(self), (self.limit,), None, None, iter(self.items())
