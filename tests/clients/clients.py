"""The clients by name, and what becomes of one that is let loose on a controller."""

from __future__ import annotations

from collections.abc import Callable
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

RELEASES = ("1.8.0", "1.24.0", "1.50.1")
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
"""Those that start instances."""

CANNOT: dict[tuple[str, str], str] = {
    ("teamcity", "1.8.0"): "it drops instances without external_id inside vm, which stands beside vm at 1.8.0",
    ("gitlab-executor", "1.8.0"): "it finds its instance by external_id inside vm, which stands beside vm at 1.8.0",
}
"""Clients that are not at home on a release, and why."""


class Outcome(NamedTuple):
    """How a client fared: it works, fails, crashes or waits for ever; what it got or said; how many instances it has
    started, and for how many it has sent a DELETE."""

    what: str
    text: str
    started: int = 1
    ended: int = 0


def outcome_of(anka: Anka, do: Callable[[], Machine | str | None]) -> Outcome:
    """Let a client do something, and see."""
    try:
        made = do()
        what, text = "works", made.address or made.text if isinstance(made, Machine) else made or ""
    except Fails as why:
        what, text = "fails", str(why)
    except Undecodable as why:
        what, text = "cannot decode", str(why)
    except Crashes as why:
        what, text = "crashes", str(why)
    except StillWaiting as why:
        what, text = "waits", str(why)
    started = [id for each in anka.requests.where(method="POST", path="/api/v1/vm") for id in each.instances]
    ended = {each.body["id"] for each in anka.requests.where(method="DELETE", path="/api/v1/vm")}
    return Outcome(what, text, len(started), len(ended))


def at(release: str, scenario: Any = "default") -> pytest.MarkDecorator:
    """A controller of that release, by a clock that only the client moves."""
    return pytest.mark.anka(scenario=scenario, clock="manual", release=release)


def by_release(*values: str) -> list[Any]:
    """Parameters for a test that runs on every release, under its number."""
    return [pytest.param(release, id=release, marks=at(release)) for release in values or RELEASES]
