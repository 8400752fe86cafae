"""A controller that is checked without network and without waiting: what sleeps moves its clock."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
from werkzeug.test import Client

from mockanka.check.cleanup import PREFIX
from mockanka.check.results import Results
from mockanka.check.runner import Plan, check
from mockanka.check.session import Pace
from mockanka.check.write_checks import Target, find_target
from mockanka.contract.exchange import Exchange
from mockanka.core.controller import Controller
from mockanka.core.release import Release
from mockanka.core.time_control import advance_by
from mockanka.remote.client import Remote, connect
from mockanka.scenario import Options, Scenario
from mockanka.simulator.simulator import Simulator
from mockanka.units import SECOND

Spoil = Callable[[Exchange], Exchange]
KEPT = {"content-type", "content-length"}
"""The headers that a plain proxy lets through."""


@cache
def scenario(name: str) -> Scenario:
    return Scenario.named(name)


class Simulated(httpx.BaseTransport):
    """A house behind a transport; ``spoil`` falsifies answers, and ``bare`` drops the headers that may be dropped."""

    def __init__(
        self, name: str = "default", release: str | None = None, spoil: Spoil | None = None, bare: bool = False
    ):
        made = None if release is None else Release.parse(release)
        self.house = Simulator(scenario(name), Options(clock="manual", release=made))
        self.house.controller.advance()
        self.spoil, self.bare = spoil, bare
        self.seen: list[Exchange] = []
        self._client = Client(self.house.app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        sent = request.read()
        answer = self._client.open(
            request.url.path,
            method=request.method,
            query_string=request.url.query.decode(),
            data=sent or None,
            content_type=request.headers.get("content-type"),
        )
        headers = {name.lower(): value for name, value in answer.headers}
        path, query = request.url.path, request.url.query.decode()
        exchange = Exchange(request.method, path, query, sent, answer.status_code, headers, answer.data)
        self.seen.append(exchange)
        if self.spoil:
            exchange = self.spoil(exchange)
        kept = {name: value for name, value in exchange.headers.items() if not self.bare or name in KEPT}
        kept["content-length"] = str(len(exchange.content))
        return httpx.Response(exchange.status, headers=kept, content=exchange.content)

    def sleep(self, seconds: float) -> None:
        advance_by(self.house.controller, round(seconds * SECOND))

    def now(self) -> float:
        """Seconds by the controller's clock, so that limits pass when it does."""
        return self.house.controller.clock.now() / SECOND

    @property
    def remote(self) -> Remote:
        return connect("http://controller:8090", transport=self, clock=self.now)

    @property
    def template(self) -> str:
        return next(iter(self.house.controller.templates))


def checked(simulated: Simulated, write: bool = False, node: str | None = None, **plan: Any) -> Results:
    """The results of a run; in write mode with the first template, and on the node that is named."""
    remote = simulated.remote
    target: Target | None = None
    if write:
        target = find_target(remote, simulated.template, None, node)
    plan = {"pace": Pace(interval=2.0), **plan}
    return check(remote, Plan(target=target, **plan), simulated.sleep)


def complaints(results: Results) -> list[str]:
    """What failed, in words."""
    return [f"{row.operation} {row.check}: {each}" for row in results.of("failed") for each in row.findings]


def left_behind(controller: Controller) -> list[str]:
    """What a run made and is still there, instances aside that are on their way out."""
    alive = [each for each in controller.instances.values() if each.state not in ("Terminating", "Terminated")]
    instances = [each.id for each in alive if PREFIX in f"{each.request.name} {each.request.external_id}"]
    return instances + [each.id for each in controller.groups.values() if PREFIX in each.name]
