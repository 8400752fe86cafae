"""Helpers for tests of response faults."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from mockanka.testing.anka import Anka
from tests.server.http_client import (
    VM,
    open_socket,
    receive_all,
    request_bytes,
    send_request,
)


def any_template(anka: Anka) -> str:
    """Return the id of a template without sending a request."""
    return next(iter(anka.templates))


def lose_response(url: str) -> None:
    """Send a request whose connection ends without a response."""
    with closing(open_socket(url)) as connection:
        connection.sendall(request_bytes())
        assert b"" == receive_all(connection)[0]


def statuses(anka: Anka, number: int, target: str = VM) -> list[int]:
    """Return the HTTP statuses of so many requests."""
    return [send_request(anka.url, target=target).status for _ in range(number)]


def rule_counts(anka: Anka, id: str) -> tuple[int, int]:
    """Return how often a rule matched and how often it fired, as the control API shows it."""
    rules = send_request(anka.url, target="/_mock/faults").json["faults"]
    (rule,) = [rule for rule in rules if rule["id"] == id]
    return rule["seen"], rule["fired"]


def seeded(seed: int | None) -> dict[str, Any]:
    """Return the argument that gives a rule a seed of its own, if there is one."""
    return {} if seed is None else {"seed": seed}
