"""Sending of requests as the clients in Go do it, of which some keep a request and its body for further attempts."""

from __future__ import annotations

from typing import Any

from tests.clients.engine import Client, Lost, Refused, Reply


class GoClient(Client):
    """A client whose requests go through ``net/http``: connections are kept, and a lost GET is sent once more."""

    KEEPS_CONNECTIONS = True
    GET_REPEATS = 1


class SentRequest:
    """A request that may be sent several times, with the one body that it has.

    The body is a buffer that is empty once it has been sent, so a second attempt fails before anything is sent. Nothing
    is read from the buffer while connections are refused.
    """

    def __init__(self, client: Client, name: str, values: dict[str, Any]) -> None:
        self._client, self._name, self._values = client, name, values
        self._is_drained = False

    def send(self) -> Reply:
        """Send the request; raises Lost if its body is gone."""
        data = self._client.data_of(self._name, **self._values)
        if self._is_drained and data is not None:
            raise Lost(f"http: ContentLength={len(data)} with Body length 0")
        self._is_drained = True
        try:
            return self._client.send(self._name, **self._values)
        except Refused:
            self._is_drained = False
            raise
