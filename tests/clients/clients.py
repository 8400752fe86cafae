"""The clients by name, and the outcome of running a client against a controller."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from mockanka import Anka
from tests.clients.actions import Actions, Actions26
from tests.clients.cirrus import Cirrus
from tests.clients.drone import Drone
from tests.clients.engine import Client, Crashes, Fails, Machine, StillWaiting, Undecodable
from tests.clients.flower import Flower
from tests.clients.gitlab_executor import GitlabExecutor
from tests.clients.gitlab_runner import GitlabRunner
from tests.clients.jenkins import Jenkins
from tests.clients.mcp import Mcp
from tests.clients.mgmtcl import Mgmtcl
from tests.clients.teamcity import TeamCity

RELEASES = ("1.8.0", "1.13.0", "1.24.0", "1.43.0", "1.50.1", "1.51.2")
BEFORE_1_24 = RELEASES[:2]
STARTERS: dict[str, type[Client]] = {
    "jenkins": Jenkins,
    "teamcity": TeamCity,
    "gitlab-executor": GitlabExecutor,
    "gitlab-runner": GitlabRunner,
    "actions-2022": Actions,
    "actions-2026": Actions26,
    "drone": Drone,
    "mcp": Mcp,
    "flower": Flower,
    "mgmtcl": Mgmtcl,
    "cirrus": Cirrus,
}
"""The clients that start instances."""

UNSUPPORTED: dict[tuple[str, str], str] = {
    ("gitlab-executor", release): "it finds its instance by external_id inside vm, which stands beside vm before 1.24"
    for release in BEFORE_1_24
}
"""Clients that do not work with a release, and the reason."""

CANNOT_END: dict[tuple[str, str], str] = {
    ("drone", release): "it reads the id of its instance from the instance, which does not tell it before 1.24"
    for release in BEFORE_1_24
}
"""Clients that get their VM on a release and cannot terminate it, and the reason."""


class Outcome(NamedTuple):
    """The outcome of a client's action.

    ``what`` is one of works, fails, cannot decode, crashes and waits; ``text`` is the client's result or message.
    ``started`` counts the instances that it has started, ``ended`` those for which it has sent a DELETE.
    """

    what: str
    text: str
    started: int = 1
    ended: int = 0


def outcome_of(anka: Anka, do: Callable[[], Machine | str | None]) -> Outcome:
    """Run an action of a client, and return its outcome."""
    try:
        result = do()
        what, text = "works", result.address or result.text if isinstance(result, Machine) else result or ""
    except Fails as error:
        what, text = "fails", str(error)
    except Undecodable as error:
        what, text = "cannot decode", str(error)
    except Crashes as error:
        what, text = "crashes", str(error)
    except StillWaiting as error:
        what, text = "waits", str(error)
    started = [id for request in anka.requests.where(method="POST", path="/api/v1/vm") for id in request.instances]
    ended = {request.body["id"] for request in anka.requests.where(method="DELETE", path="/api/v1/vm")} - {""}
    return Outcome(what, text, len(started), len(ended))


def at(release: str, scenario: Any = "default") -> pytest.MarkDecorator:
    """Return the mark of a test: its controller's release and scenario, and a clock that only the client moves."""
    return pytest.mark.anka(scenario=scenario, clock="manual", release=release)


def by_release(scenario: Any = "default", releases: Sequence[str] = RELEASES) -> list[Any]:
    """Return the parameters of a test that runs on every release."""
    return [pytest.param(release, id=release, marks=at(release, scenario)) for release in releases]


def by_client() -> list[Any]:
    """Return the parameters of a test that runs with every client on the default release."""
    return [pytest.param(name, id=name, marks=at("1.50.1")) for name in STARTERS]
