"""The monitor of a client's connections, which finds those that the client opens for one request and leaves open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from mockanka.shown_text import cut
from mockanka.simulator.client_report import MAX_FINDING_REQUESTS, ClientFinding

if TYPE_CHECKING:
    from mockanka.simulator.journal import JournalEntry

MAX_UNSHARED_CONNECTIONS = 20
"""Open connections that a client may have of which each served one request only."""
MAX_SHOWN_AGENT = 200
"""Characters of a User-Agent that a finding shows."""


@dataclass(slots=True)
class _FirstRequest:
    """The only request of a connection so far: its number, and that of the last one when it was answered, else 0."""

    host: str
    user_agent: str
    number: int
    answered_at: int = 0


@dataclass(slots=True)
class _UnsharedConnections:
    """The connections of a client that served one request only, by their numbers."""

    idle: dict[int, _FirstRequest] = field(default_factory=dict)
    """The open ones whose request was answered, in the order of the responses."""
    left: dict[int, _FirstRequest] = field(default_factory=dict)
    """Those of them that were open when the client had too many."""
    closed_count: int = 0
    """How many that were among ``left`` are closed by now; ``closed`` has the lowest numbers of their requests."""
    closed: list[int] = field(default_factory=list)


@dataclass
class ConnectionMonitor:
    """Counts the requests of each connection of a server, in constant time for one that serves several.

    Clients are told apart by their address and their User-Agent. Connections have the numbers that the journal shows;
    those that were not opened here, as without a server, are not looked at.
    """

    _open: dict[int, _FirstRequest | None] = field(default_factory=dict)
    """The request of each open connection that served one; None for those that served others, or none yet."""
    _unused: set[int] = field(default_factory=set)
    """The open connections that served no request yet."""
    _clients: dict[tuple[str, str], _UnsharedConnections] = field(default_factory=dict)

    def begin(self) -> None:
        """Forget all requests; connections that served some are not looked at any more."""
        self._open = dict.fromkeys(self._open)
        self._clients = {}

    def open(self, connection: int) -> None:
        """Note that a connection was opened."""
        self._open[connection] = None
        self._unused.add(connection)

    def close(self, connection: int) -> None:
        """Note that a connection was closed."""
        self._unused.discard(connection)
        request = self._open.pop(connection, None)
        if request is None or (client := self._client_of(request)) is None:
            return
        client.idle.pop(connection, None)
        if client.left.pop(connection, None) is not None:
            client.closed_count += 1
            client.closed = sorted([*client.closed, request.number])[:MAX_FINDING_REQUESTS]
        self._drop_empty(request, client)

    def record_request(self, connection: int, entry: JournalEntry | None = None) -> None:
        """Note that a request has come; without an entry it is one to the control API, which is only counted."""
        if connection in self._unused:
            self._unused.remove(connection)
            if entry is not None and entry.peer is not None:
                self._open[connection] = _FirstRequest(entry.peer[0], entry.user_agent, entry.number)
        elif (request := self._open.get(connection)) is not None:
            self._open[connection] = None
            if (client := self._client_of(request)) is not None:
                client.idle.pop(connection, None)
                client.left.pop(connection, None)
                self._drop_empty(request, client)

    def record_response(self, connection: int, last: int) -> None:
        """Note that a request was answered; ``last`` is the number of the last request that has come by now.

        A connection counts as left only if the client opened another one after its response: requests at the same time
        need a connection each, and a pool may close some of them as soon as they are answered.
        """
        request = self._open.get(connection)
        if request is None or request.answered_at:
            return
        request.answered_at = last
        client = self._clients.setdefault((request.host, request.user_agent), _UnsharedConnections())
        client.idle[connection] = request
        if len(client.idle) > MAX_UNSHARED_CONNECTIONS:
            others = islice(client.idle.values(), MAX_UNSHARED_CONNECTIONS)
            if all(other.answered_at < request.number for other in others):
                client.left |= client.idle

    def findings(self) -> Iterator[ClientFinding]:
        """Yield a finding for each client that left too many connections open, or has too many open now."""
        for (host, user_agent), client in self._clients.items():
            unshared = client.left | client.idle if len(client.idle) > MAX_UNSHARED_CONNECTIONS else client.left
            count = len(unshared) + client.closed_count
            if count > MAX_UNSHARED_CONNECTIONS:
                name = f"{host}, User-Agent {cut(user_agent, MAX_SHOWN_AGENT)!r}," if user_agent else host
                text = f"{name} had more than {MAX_UNSHARED_CONNECTIONS} connections open for one request each"
                numbers = sorted([*client.closed, *(request.number for request in unshared.values())])
                yield ClientFinding("leaked-connections", text, numbers[:MAX_FINDING_REQUESTS], count=count)

    def _client_of(self, request: _FirstRequest) -> _UnsharedConnections | None:
        return self._clients.get((request.host, request.user_agent))

    def _drop_empty(self, request: _FirstRequest, client: _UnsharedConnections) -> None:
        """Forget a client without connections and without findings."""
        if not client.idle and not client.closed_count:
            del self._clients[request.host, request.user_agent]
