"""The journal as a test sees it: requests that can be filtered, looked for, and compared, the nearest named first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, SupportsIndex, overload

from mockanka.simulator.journal import JournalEntry
from mockanka.testing.views import moment

__tracebackhide__ = True  # what a test did wrong it did in the test
NEAREST = 3
"""Requests that are named when none fits, and differences of two lists."""
LOOKED_AT = 200
"""Requests that are compared with a list beyond the first that does not fit."""


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
    def of(cls, entry: JournalEntry) -> Request:
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
            instances=entry.concerned_instances,
            seconds=entry.took / 1e9,
            line=str(entry),
        )

    def __str__(self) -> str:
        return self.line

    def __repr__(self) -> str:
        return f"<{self.line}>"


_NOTHING = object()
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
        ranked = sorted(((distance(wanted, each), each) for each in self), key=lambda pair: pair[0])
        best = [each for far, each in ranked if far == ranked[0][0]][:NEAREST]
        lines: list[str] = []
        for each in best:
            lines += [f"  {each}", *(f"      {text}" for text in differences(wanted, each))]
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
    for key, value, real in _to_compare(wanted, there):
        found += _differ(key, value, real)
    return found


def distance(wanted: Mapping[str, Any], there: Request) -> int:
    """How much of what is wanted a request has otherwise, or has not: a body that is missing lacks all its keys."""
    return sum(_wrong(value, real) for _, value, real in _to_compare(wanted, there))


def _to_compare(wanted: Mapping[str, Any], there: Request) -> Iterator[tuple[str, Any, Any]]:
    for key, value in wanted.items():
        real = getattr(there, key)
        if not (key == "path" and isinstance(value, str) and fnmatchcase(real, value)):
            yield key, value, real


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
    return ["the requests are not as expected", *lines, *_compare(left, right)]


def _compare(found: Requests, wanted: list[Any]) -> list[str]:
    """The first differences of two lists of which as much as possible is laid side by side."""
    same = 0
    while same < min(len(found), len(wanted)) and _fits(wanted[same], found[same]):
        same += 1
    lines: list[str] = []
    pairs = _side_by_side(found[same : same + LOOKED_AT], wanted[same : same + LOOKED_AT])
    wrong = [(place, index) for place, index, cost in pairs if cost]
    for place, index in wrong[:NEAREST]:
        if index is None and place is not None:
            lines.append(f"  more than expected: {found[same + place]}")
        elif place is None and index is not None:
            lines.append(f"  missing: {wanted[same + index]!r}")
        elif place is not None and index is not None:
            there, asked = found[same + place], wanted[same + index]
            lines += [f"request {same + place} is not as expected:", f"  {there}"]
            lines += [f"      {text}" for text in (differences(asked, there) if isinstance(asked, Mapping) else [])]
    more = "" if max(len(found), len(wanted)) > same + LOOKED_AT else f"{len(wrong) - NEAREST} "
    return [*lines, f"  and {more}more differences"] if len(wrong) > NEAREST else lines


def _side_by_side(found: Requests, wanted: list[Any]) -> list[tuple[int | None, int | None, float]]:
    """Places in both lists that belong together, or in one of them alone, with what is wrong there: the least in all.

    That is the edit distance, where two that do not fit cost the less the nearer they are.
    """
    rows, columns = len(found), len(wanted)
    apart = [[_apart(asked, there) for asked in wanted] for there in found]
    rest = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for row in range(rows, -1, -1):
        for column in range(columns, -1, -1):
            ways = [1 + rest[row + 1][column]] if row < rows else []
            ways += [1 + rest[row][column + 1]] if column < columns else []
            ways += [apart[row][column] + rest[row + 1][column + 1]] if row < rows and column < columns else []
            rest[row][column] = min(ways, default=0.0)
    pairs: list[tuple[int | None, int | None, float]] = []
    row = column = 0
    while row < rows or column < columns:
        both = row < rows and column < columns
        if both and rest[row][column] == apart[row][column] + rest[row + 1][column + 1]:
            pairs.append((row, column, apart[row][column]))
            row, column = row + 1, column + 1
        elif row < rows and rest[row][column] == 1 + rest[row + 1][column]:
            pairs.append((row, None, 1.0))
            row += 1
        else:
            pairs.append((None, column, 1.0))
            column += 1
    return pairs


def _apart(wanted: object, there: Request) -> float:
    """Nothing if it fits; else more than one that is missing, and less than one that is missing and one too many."""
    if _fits(wanted, there):
        return 0.0
    far = distance(wanted, there) if isinstance(wanted, Mapping) else 0
    return 2 - 1 / (1 + far) if far else 2.0


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


def _wrong(wanted: Any, there: Any) -> int:
    """How many values of what is wanted are not there."""
    if not isinstance(wanted, Mapping):
        return int(wanted != there)
    inside = there if isinstance(there, Mapping) else {}
    wrong = sum(
        _wrong(value, inside[key]) if key in inside else _wrong(value, _NOTHING) for key, value in wanted.items()
    )
    return wrong if isinstance(there, Mapping) else max(1, wrong)


def _count(found: int, times: int | None, wanted: Mapping[str, Any]) -> str:
    what = ", ".join(f"{key}={value!r}" for key, value in wanted.items())
    if times is None:
        return f"no request fits {what}; the nearest are"
    return f"{found} request{' fits' if found == 1 else 's fit'} {what}, where {times} are expected; the nearest are"
