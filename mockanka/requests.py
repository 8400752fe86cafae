"""The journal as a test sees it: requests that can be filtered, looked for, and compared, the nearest named first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, SupportsIndex, overload

from mockanka.journal import Entry
from mockanka.views import moment

__tracebackhide__ = True  # what a test did wrong it did in the test
NEAREST = 3
"""Requests that are named when none fits."""


@dataclass(frozen=True)
class Request:
    """One request that the controller got. ``at`` is the time of its clock, ``wall`` the wall's.

    ``body`` is what its JSON says, else text; ``status`` is None if no answer went out; ``fault`` is the id of the rule
    that struck; ``outcome`` says what became of the answer if the client did not get it as it was made; ``seconds`` is
    how long answering took.
    """

    number: int
    at: datetime
    wall: datetime
    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    status: int | None
    answer: Any
    fault: str
    outcome: str
    instances: tuple[str, ...]
    seconds: float
    line: str

    @classmethod
    def of(cls, entry: Entry) -> Request:
        return cls(
            number=entry.number,
            at=moment(entry.at),
            wall=moment(entry.wall),
            method=entry.method,
            path=entry.path,
            query=entry.query,
            body=entry.body,
            status=entry.status,
            answer=entry.answer,
            fault=entry.fault,
            outcome=entry.outcome,
            instances=entry.touched,
            seconds=entry.took / 1e9,
            line=str(entry),
        )

    def __str__(self) -> str:
        return self.line

    def __repr__(self) -> str:
        return f"<{self.line}>"


KEYS = tuple(each.name for each in fields(Request) if each.name not in ("line", "seconds", "wall"))


class Requests(list[Any]):  # of Request; a list of anything to type checkers, for mappings are looked for in it
    """Requests, oldest first. ``{"method": "POST", "body": {"tag": "x"}} in requests`` asks whether one fits: what is
    named must be there, among whatever else; a path may have ``*``."""

    def __init__(self, found: Iterable[Request] = (), clear: Callable[[], None] | None = None) -> None:
        super().__init__(found)
        self._clear = clear

    def __iter__(self) -> Iterator[Request]:
        return super().__iter__()

    @overload
    def __getitem__(self, place: SupportsIndex) -> Request: ...
    @overload
    def __getitem__(self, place: slice) -> Requests: ...
    def __getitem__(self, place: SupportsIndex | slice) -> Request | Requests:
        if isinstance(place, slice):
            return Requests(super().__getitem__(place))
        one: Request = super().__getitem__(place)
        return one

    def where(self, **wanted: Any) -> Requests:
        """Those that fit: ``where(method="POST", path="/api/v1/vm", body={"tag": "x"})``."""
        _require_known(wanted)
        return Requests(each for each in self if not differences(wanted, each))

    def about(self, instance_id: str) -> Requests:
        """Those that started an instance, or named it."""
        return Requests(each for each in self if instance_id in each.instances)

    def expect(self, times: int | None = None, **wanted: Any) -> Requests:
        """Those that fit; AssertionError, with the nearest first, if there are none, or not so many."""
        found = self.where(**wanted)
        if len(found) == times or (times is None and found):
            return found
        raise AssertionError("\n".join([_count(len(found), times, wanted), *self.nearest(wanted)]))

    def nearest(self, wanted: Mapping[str, Any]) -> list[str]:
        """The requests that come nearest to what is wanted, nearest first, each with what is different."""
        if not self:
            return ["there were no requests at all"]
        ranked = sorted(((differences(wanted, each), each) for each in self), key=lambda pair: len(pair[0]))
        best = [pair for pair in ranked if len(pair[0]) == len(ranked[0][0])][:NEAREST]
        lines: list[str] = []
        for found, each in best:
            lines += [f"  {each}", *(f"      {text}" for text in found)]
        left = len(self) - len(best)
        return [*lines, f"  and {left} more"] if left > 0 else lines

    def clear(self) -> None:
        """Forget all requests, in the journal too if these are the journal's."""
        super().clear()
        if self._clear is not None:
            self._clear()

    def __contains__(self, wanted: object) -> bool:
        if not isinstance(wanted, Mapping):
            return super().__contains__(wanted)
        _require_known(wanted)
        return any(not differences(wanted, each) for each in self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, list) or isinstance(other, Requests):
            return super().__eq__(other)
        return len(self) == len(other) and all(_fits(wanted, each) for wanted, each in zip(other, self, strict=True))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __repr__(self) -> str:
        return f"<{len(self)} request{'s' * (len(self) != 1)}>"

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "no requests"


def differences(wanted: Mapping[str, Any], there: Request) -> list[str]:
    """What a request has otherwise than wanted, each difference in words."""
    found: list[str] = []
    for key, value in wanted.items():
        real = getattr(there, key)
        if key == "path" and isinstance(value, str) and fnmatchcase(real, value):
            continue
        found += _differ(key, value, real)
    return found


def explain(op: str, left: object, right: object) -> list[str] | None:
    """What to say when a comparison with requests does not hold; None if it is no such comparison."""
    if op == "in" and isinstance(left, Mapping) and isinstance(right, Requests):
        return [f"no request fits {dict(left)!r}", *right.nearest(left)]
    if op == "not in" and isinstance(left, Mapping) and isinstance(right, Requests):
        return [f"requests fit {dict(left)!r}", *(f"  {each}" for each in right.where(**left))]
    if op == "==" and isinstance(right, Requests) and not isinstance(left, Requests):
        left, right = right, left
    if op != "==" or not isinstance(left, Requests) or not isinstance(right, list):
        return None
    lines = [f"{len(left)} requests, where {len(right)} are expected"] if len(left) != len(right) else []
    for place, (there, wanted) in enumerate(zip(left, right, strict=False)):
        if not _fits(wanted, there):
            lines += [f"request {place} is not as expected:", f"  {there}"]
            lines += [f"      {text}" for text in (differences(wanted, there) if isinstance(wanted, Mapping) else [])]
            return ["the requests are not as expected", *lines]
    lines += [f"  more than expected: {there}" for there in left[len(right) :]]
    lines += [f"  missing: {wanted!r}" for wanted in right[len(left) :]]
    return ["the requests are not as expected", *lines]


def _fits(wanted: object, there: Request) -> bool:
    if isinstance(wanted, Mapping):
        _require_known(wanted)
        return not differences(wanted, there)
    return wanted == there


def _require_known(wanted: Mapping[str, Any]) -> None:
    for key in wanted:
        if key not in KEYS:
            raise TypeError(f"a request has no {key!r}, it has {', '.join(KEYS)}")


def _differ(path: str, wanted: Any, there: Any) -> list[str]:
    if isinstance(wanted, Mapping) and isinstance(there, Mapping):
        found: list[str] = []
        for key, value in wanted.items():
            place = f"{path}.{key}"
            found += _differ(place, value, there[key]) if key in there else [f"{place}: missing, wanted {value!r}"]
        return found
    return [] if wanted == there else [f"{path}: {there!r}, wanted {wanted!r}"]


def _count(found: int, times: int | None, wanted: Mapping[str, Any]) -> str:
    what = ", ".join(f"{key}={value!r}" for key, value in wanted.items())
    if times is None:
        return f"no request fits {what}; the nearest are"
    return f"{found} request{' fits' if found == 1 else 's fit'} {what}, where {times} are expected; the nearest are"
