"""The journal for tests: requests that can be filtered, expected and compared, with the nearest ones in messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, SupportsIndex, overload

from mockanka.simulator.journal import JournalEntry
from mockanka.simulator.request_patterns import (
    FILTERS,
    describe_count,
    describe_dropped,
    differences,
    distance,
    matches_pattern,
    nearest_requests,
)
from mockanka.testing.views import to_datetime

__tracebackhide__ = True  # an error that a test made is shown in the test
NEAREST_SHOWN = 3
"""How many of the nearest requests, or of the differences of two lists, a message shows."""
COMPARED = 200
"""How many requests are aligned with a list after the first that does not match."""


class HeaderValues(dict[str, str]):
    """Headers by name, in any case of letters."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a header, or ``default``."""
        return super().get(name.lower(), default)


@dataclass(frozen=True)
class Request:
    """A request to the controller. ``at`` is the time of its clock, ``wall`` the time of the wall.

    ``body`` is parsed JSON, or text; ``status`` is None if no response was sent; ``fault`` is the id of the rule that
    fired; ``outcome`` describes a response that did not reach the client as it was made; ``seconds`` is the time that
    the response took.
    ``headers`` and ``response_headers`` ignore the case of names, and have no secrets unless these are kept. ``client``
    is the client's address and port, ``connection`` the number of its connection.
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
    headers: Mapping[str, str] = field(default_factory=dict)
    response_headers: Mapping[str, str] = field(default_factory=dict)
    client: str = ""
    user_agent: str = ""
    connection: int = 0
    body_text: str = ""
    keep_secrets: bool = False

    @property
    def concerned_instances(self) -> tuple[str, ...]:
        """The ids of the instances that the request started, or that it names."""
        return self.instances

    @classmethod
    def from_entry(cls, entry: JournalEntry) -> Request:
        """Return the view of an entry of the journal."""
        return cls(
            number=entry.number,
            at=to_datetime(entry.at),
            wall=to_datetime(entry.wall),
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
            headers=HeaderValues(entry.headers),
            response_headers=HeaderValues(entry.response_headers),
            client=entry.client,
            user_agent=entry.user_agent,
            connection=entry.connection,
            body_text=entry.body_text,
            keep_secrets=entry.keep_secrets,
        )

    def __str__(self) -> str:
        return self.line

    def __repr__(self) -> str:
        return f"<{self.line}>"


_HIDDEN_KEYS = ("line", "seconds", "wall", "body_text", "keep_secrets")
_VALUE_KEYS = [item.name for item in fields(Request) if item.name not in _HIDDEN_KEYS]
REQUEST_KEYS = tuple(dict.fromkeys([*_VALUE_KEYS, *FILTERS]))
"""Keys of patterns: attributes of requests, and filters."""


class Requests(list[Any]):  # of Request; Any, since type checkers else refuse to look for a mapping in it
    """Requests, oldest first. ``{"method": "POST", "body": {"tag": "x"}} in requests`` is true if a request matches:
    it has all that the pattern names, and may have more; a path may contain ``*``. For all keys see ``where``.

    ``dropped`` is the number of earlier requests that the journal no longer had. What can then no longer be told fails:
    a number of ``times``, that no request matches, that the requests equal a list.
    """

    def __init__(
        self, requests: Iterable[Request] = (), clear: Callable[[], None] | None = None, dropped: int = 0
    ) -> None:
        super().__init__(requests)
        self._clear = clear
        self.dropped = dropped

    def __iter__(self) -> Iterator[Request]:
        return super().__iter__()

    @overload
    def __getitem__(self, index: SupportsIndex) -> Request: ...
    @overload
    def __getitem__(self, index: slice) -> Requests: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Request | Requests:
        if isinstance(index, slice):
            counts_from_end = index.start is not None and index.start < 0
            return Requests(super().__getitem__(index), dropped=0 if counts_from_end else self.dropped)
        request: Request = super().__getitem__(index)
        return request

    def where(self, **pattern: Any) -> Requests:
        """Return the requests that match: ``where(method="POST", path="/api/v1/vm", body={"tag": "x"})``.

        Besides attributes there are filters: ``external_id`` that the request sent, ``instance`` that it is about,
        ``header="NAME"``, ``"NAME: VALUE"`` or a mapping, and ``body_matches``, a regular expression that is found in
        the body. ``path``, ``user_agent``, ``fault`` and values of ``header`` may have ``*`` for anything.
        """
        _require_known_keys(pattern)
        return Requests((request for request in self if matches_pattern(pattern, request)), dropped=self.dropped)

    def about(self, instance_id: str) -> Requests:
        """Return the requests that started an instance, or named it."""
        return Requests((request for request in self if instance_id in request.instances), dropped=self.dropped)

    def expect(self, times: int | None = None, **pattern: Any) -> Requests:
        """Return the requests that match, at least one or exactly ``times``. Raises AssertionError with the nearest.

        A number of ``times`` is refused if requests were dropped.
        """
        matching = self.where(**pattern)
        if (len(matching) == times and not self.dropped) or (times is None and matching):
            return matching
        text = describe_count(len(matching), times, pattern)
        if self.dropped:
            text = f"{describe_dropped(self.dropped)}; of the others {text}"
        raise AssertionError("\n".join([text, *self.nearest(pattern)]))

    def nearest(self, pattern: Mapping[str, Any]) -> list[str]:
        """Return lines on the requests that are nearest to the pattern, nearest first, each with its differences."""
        if not self:
            return ["there were no requests at all"]
        best = nearest_requests(pattern, self, NEAREST_SHOWN)
        lines: list[str] = []
        for request in best:
            lines += [f"  {request}", *(f"      {text}" for text in differences(pattern, request))]
        left = len(self) - len(best)
        return [*lines, f"  and {left} more"] if left > 0 else lines

    def clear(self) -> None:
        """Remove all requests, also from the journal if they were read from it."""
        super().clear()
        self.dropped = 0
        if self._clear is not None:
            self._clear()

    def __contains__(self, pattern: object) -> bool:
        if not isinstance(pattern, Mapping):
            return super().__contains__(pattern)
        _require_known_keys(pattern)
        if any(matches_pattern(pattern, request) for request in self):
            return True
        if self.dropped:
            raise AssertionError(f"{describe_dropped(self.dropped)}; of the others no request fits {dict(pattern)!r}")
        return False

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, list) or isinstance(other, Requests):
            return super().__eq__(other)
        return (
            not self.dropped
            and len(self) == len(other)
            and all(_matches(expected, request) for expected, request in zip(other, self, strict=True))
        )

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __repr__(self) -> str:
        dropped = f", {self.dropped} dropped" if self.dropped else ""
        return f"<{len(self)} request{'s' * (len(self) != 1)}{dropped}>"

    def __str__(self) -> str:
        return "\n".join(map(str, self)) or "no requests"


def explain(op: str, left: object, right: object) -> list[str] | None:
    """Return lines that explain why a comparison with requests failed, or None if it is no such comparison."""
    if op == "in" and isinstance(left, Mapping) and isinstance(right, Requests):
        return [f"no request fits {dict(left)!r}", *right.nearest(left)]
    if op == "not in" and isinstance(left, Mapping) and isinstance(right, Requests):
        return [f"requests fit {dict(left)!r}", *(f"  {request}" for request in right.where(**left))]
    if op == "==" and isinstance(right, Requests) and not isinstance(left, Requests):
        left, right = right, left
    if op != "==" or not isinstance(left, Requests) or not isinstance(right, list):
        return None
    lines = [f"{len(left)} requests, where {len(right)} are expected"] if len(left) != len(right) else []
    lines += [describe_dropped(left.dropped)] if left.dropped else []
    return ["the requests are not as expected", *lines, *_list_differences(left, right)]


def _list_differences(requests: Requests, expected: list[Any]) -> list[str]:
    """Return lines on the first differences of two lists, which are aligned so that as much as possible matches."""
    same = 0
    while same < min(len(requests), len(expected)) and _matches(expected[same], requests[same]):
        same += 1
    lines: list[str] = []
    pairs = _align(requests[same : same + COMPARED], expected[same : same + COMPARED])
    wrong = [(row, column) for row, column, cost in pairs if cost]
    for row, column in wrong[:NEAREST_SHOWN]:
        if column is None and row is not None:
            lines.append(f"  more than expected: {requests[same + row]}")
        elif row is None and column is not None:
            lines.append(f"  missing: {expected[same + column]!r}")
        elif row is not None and column is not None:
            request, pattern = requests[same + row], expected[same + column]
            lines += [f"request {same + row} is not as expected:", f"  {request}"]
            texts = differences(pattern, request) if isinstance(pattern, Mapping) else []
            lines += [f"      {text}" for text in texts]
    more = "" if max(len(requests), len(expected)) > same + COMPARED else f"{len(wrong) - NEAREST_SHOWN} "
    return [*lines, f"  and {more}more differences"] if len(wrong) > NEAREST_SHOWN else lines


def _align(requests: Requests, expected: list[Any]) -> list[tuple[int | None, int | None, float]]:
    """Align two lists at the least cost: the index in each, None where there is no counterpart, and the cost.

    The cost is the edit distance, in which substituting a request costs less the nearer it is.
    """
    rows, columns = len(requests), len(expected)
    substitution = [[_substitution_cost(pattern, request) for pattern in expected] for request in requests]
    cost = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for row in range(rows, -1, -1):
        for column in range(columns, -1, -1):
            choices = [1 + cost[row + 1][column]] if row < rows else []
            choices += [1 + cost[row][column + 1]] if column < columns else []
            if row < rows and column < columns:
                choices.append(substitution[row][column] + cost[row + 1][column + 1])
            cost[row][column] = min(choices, default=0.0)
    pairs: list[tuple[int | None, int | None, float]] = []
    row = column = 0
    while row < rows or column < columns:
        both = row < rows and column < columns
        if both and cost[row][column] == substitution[row][column] + cost[row + 1][column + 1]:
            pairs.append((row, column, substitution[row][column]))
            row, column = row + 1, column + 1
        elif row < rows and cost[row][column] == 1 + cost[row + 1][column]:
            pairs.append((row, None, 1.0))
            row += 1
        else:
            pairs.append((None, column, 1.0))
            column += 1
    return pairs


def _substitution_cost(pattern: object, request: Request) -> float:
    """Return 0 if the request matches, else 1.5 to 2: more than an insertion or deletion, at most both."""
    if _matches(pattern, request):
        return 0.0
    far = distance(pattern, request) if isinstance(pattern, Mapping) else 0
    return 2 - 1 / (1 + far) if far else 2.0


def _matches(pattern: object, request: Request) -> bool:
    if isinstance(pattern, Mapping):
        _require_known_keys(pattern)
        return matches_pattern(pattern, request)
    return pattern == request


def _require_known_keys(pattern: Mapping[str, Any]) -> None:
    for key in pattern:
        if key not in REQUEST_KEYS:
            raise TypeError(f"a request has no {key!r}, it has {', '.join(REQUEST_KEYS)}")
