"""A simulated controller that is checked without a network and without waiting: a sleep moves its clock."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from functools import cache
from typing import Any

import httpx
from werkzeug.test import Client

from mockanka.check.cleanup import CHECK_PREFIX
from mockanka.check.results import Results
from mockanka.check.runner import CheckPlan, check_controller
from mockanka.check.session import Pace
from mockanka.check.write_checks import WriteTarget, find_write_target
from mockanka.contract.exchange import Exchange
from mockanka.core.controller import Controller
from mockanka.core.release import Release
from mockanka.core.time_control import advance_by
from mockanka.remote.client import ClientOptions, ControllerClient
from mockanka.scenario import Options, Scenario
from mockanka.simulator.simulator import Simulator
from mockanka.units import SECOND

URL = "http://controller:8090"
PACE = Pace(interval=2.0)
ESSENTIAL_HEADERS = {"content-type", "content-length"}
"""The response headers that remain when a proxy drops all others."""

Alteration = Callable[[Exchange], Exchange]
"""Returns an exchange with another response."""


@cache
def scenario(name: str) -> Scenario:
    return Scenario.named(name)


class SimulatedController(httpx.BaseTransport):
    """A simulator behind a transport of httpx.

    ``alter`` changes responses. With ``bare_headers`` the responses have only the essential headers. ``exchanges`` are
    those before the alteration.
    """

    def __init__(
        self,
        name: str = "default",
        release: str | None = None,
        alter: Alteration | None = None,
        bare_headers: bool = False,
    ):
        options = Options(clock="manual", release=None if release is None else Release.parse(release))
        self.simulator = Simulator(scenario(name), options)
        self.simulator.controller.advance()
        self.alter, self.bare_headers = alter, bare_headers
        self.exchanges: list[Exchange] = []
        self._wsgi_client = Client(self.simulator.app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        content = request.read()
        path, query = request.url.path, request.url.query.decode()
        response = self._wsgi_client.open(
            path,
            method=request.method,
            query_string=query,
            data=content or None,
            content_type=request.headers.get("content-type"),
        )
        headers = {name.lower(): value for name, value in response.headers}
        headers["date"] = formatdate(self.controller.now // SECOND, usegmt=True)
        exchange = Exchange(request.method, path, query, content, response.status_code, headers, response.data)
        self.exchanges.append(exchange)
        if self.alter:
            exchange = self.alter(exchange)
        kept = {
            name: value
            for name, value in exchange.headers.items()
            if not self.bare_headers or name in ESSENTIAL_HEADERS
        }
        kept["content-length"] = str(len(exchange.response_content))
        return httpx.Response(exchange.status, headers=kept, content=exchange.response_content)

    def sleep(self, seconds: float) -> None:
        advance_by(self.controller, round(seconds * SECOND))

    def now(self) -> float:
        """Return seconds of the controller's clock, so that limits pass with it."""
        return self.controller.clock.now() / SECOND

    @property
    def controller(self) -> Controller:
        return self.simulator.controller

    @property
    def template_id(self) -> str:
        return next(iter(self.controller.templates))

    def client(self, options: ClientOptions | None = None, limit: float | None = None) -> ControllerClient:
        return ControllerClient(URL, options, transport=self, clock=self.now, limit=limit)

    def run(self, client: ControllerClient, target: WriteTarget | None = None, **plan: Any) -> Results:
        """Return the results of a run with this client."""
        return check_controller(client, CheckPlan(target=target, **{"pace": PACE, **plan}), self.sleep)


def check_simulated(
    simulated: SimulatedController, write: bool = False, node: str | None = None, **plan: Any
) -> Results:
    """Return the results of a run; in write mode with the first template, on the named node."""
    client = simulated.client()
    target = find_write_target(client, simulated.template_id, None, node) if write else None
    return simulated.run(client, target, **plan)


def failures(results: Results) -> list[str]:
    """Return the findings of failed checks as text."""
    return [
        f"{check_result.operation} {check_result.check}: {finding}"
        for check_result in results.with_outcome("failed")
        for finding in check_result.findings
    ]


def remaining_objects(controller: Controller) -> list[str]:
    """Return the ids of objects that a run created and that still exist, except instances that are terminating."""
    instances = [
        instance.id
        for instance in controller.instances.values()
        if instance.state not in ("Terminating", "Terminated")
        and CHECK_PREFIX in f"{instance.request.name} {instance.request.external_id}"
    ]
    return instances + [group.id for group in controller.groups.values() if CHECK_PREFIX in group.name]
