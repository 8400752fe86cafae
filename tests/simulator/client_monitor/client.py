"""A client whose requests the monitor looks at."""

from __future__ import annotations

import builtins
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

import mockanka
from mockanka.simulator.client_report import (
    FINDING_KINDS,
)
from mockanka.testing.anka import Anka

VM = "/api/v1/vm"


TIMEOUT = 5.0


NOBODY = "11111111-2222-3333-4444-555555555555"


Findings = list[tuple[str, list[int]]]


class Client:
    """A client of a controller in this process."""

    def __init__(self, anka: Anka) -> None:
        self.anka = anka
        self.template = next(iter(anka.templates))

    def ask(self, method: str, target: str, **options: Any) -> requests.Response:
        """Send a request."""
        return requests.request(method, f"{self.anka.url}{target}", timeout=TIMEOUT, **options)

    def start(self, **fields: object) -> list[str]:
        """Start an instance, and return the ids that the response has."""
        response = self.ask("POST", VM, json={"vmid": self.template, **fields})
        try:
            ids: list[str] = response.json()["body"]
        except (ValueError, KeyError):
            return []
        return ids

    def lose_start(self, **fields: object) -> None:
        """Start an instance, and get no response."""
        with pytest.raises(requests.RequestException):
            self.start(**fields)

    def poll(self, id: str, times: int = 1) -> str:
        """Poll an instance, and return its state or the message of the failure."""
        for _ in range(times):
            answer = self.ask("GET", f"{VM}?id={id}").json()
        return str(answer["body"]["instance_state"]) if "body" in answer else str(answer["message"])

    def list(self, times: int = 1) -> None:
        """Poll the list of instances."""
        with requests.Session() as session:
            for _ in range(times):
                session.get(self.anka.url + VM, timeout=TIMEOUT)

    def terminate(self, *ids: str) -> None:
        """Terminate instances."""
        for id in ids:
            self.ask("DELETE", VM, json={"id": id})

    def findings(self, *kinds: str) -> Findings:
        """Return the findings of some kinds, or of all but leaks, each with its requests."""
        chosen = kinds or [kind for kind in FINDING_KINDS if kind != "leaks"]
        return [(finding.kind, finding.requests) for finding in self.anka.report().of_kinds(chosen)]

    def messages(self, kind: str) -> builtins.list[str]:
        """Return the messages of the findings of a kind."""
        return [finding.message for finding in self.anka.report().of_kinds([kind])]


@contextmanager
def client_of(scenario: object = "default", clock: str = "manual", **options: Any) -> Iterator[Client]:
    with mockanka.serve(scenario, clock=clock, **{"seed": 1, **options}) as anka:  # type: ignore[arg-type]
        yield Client(anka)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, which must hold within a few seconds."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
