"""Responses that were sent before, so that a fault can repeat them."""

from __future__ import annotations

from mockanka.bounded import BoundedDict
from mockanka.server.http_messages import Response

MAX_REQUESTS = 256
"""Requests whose responses are kept."""
MAX_RESPONSES = 1000
"""Responses that are kept of each; one that is the same as the last is kept once."""

RequestKey = tuple[str, bytes]
"""A path and a query."""


class EarlierResponses:
    """Responses to GETs by path and query: the last of each, or all that are young enough to be repeated by age."""

    def __init__(self) -> None:
        self._histories: BoundedDict[RequestKey, list[tuple[int, Response]]] = BoundedDict(MAX_REQUESTS)

    def clear(self) -> None:
        """Forget all responses."""
        self._histories.clear()

    def add(self, key: RequestKey, at: int, response: Response, age: int) -> None:
        """Keep a response that was sent at a moment, beside those that are needed to repeat one of an age."""
        history = self._histories.get(key) if age else None
        if history is None:
            self._histories[key] = [(at, response)]
            return
        if history[-1][1] != response:
            history.append((at, response))
        while len(history) > MAX_RESPONSES or (len(history) > 1 and history[1][0] <= at - age):
            del history[0]

    def find(self, key: RequestKey, now: int, age: int) -> Response | None:
        """Return the newest response that is at least so old, in nanoseconds; any is as old as 0. None without one."""
        history = self._histories.get(key, [])
        return next((response for at, response in reversed(history) if not age or at <= now - age), None)
