"""Connections that doubles keep are closed after each test."""

from collections.abc import Iterator

import pytest

from tests.clients.engine import KEPT_CONNECTIONS


@pytest.fixture(autouse=True)
def close_kept_connections() -> Iterator[None]:
    """Close the connections that clients have kept."""
    yield
    while KEPT_CONNECTIONS:
        KEPT_CONNECTIONS.pop().close()
