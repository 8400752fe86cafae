"""A client of a controller with a manual clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulator.client_monitor.client import Client, client_of


@pytest.fixture
def client() -> Iterator[Client]:
    with client_of() as default_client:
        yield default_client
