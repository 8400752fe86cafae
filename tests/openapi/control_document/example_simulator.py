"""A simulator in the state in which the examples of the document are true."""

from __future__ import annotations

import asyncio
import json
import pickle
from functools import cache
from typing import Any

from werkzeug.test import TestResponse

from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.scenario import Options, Scenario, dump
from mockanka.server.asgi import Gateway
from mockanka.simulator.simulator import Simulator
from tests.server.asgi_client import send_request

FIRST_ID, SECOND_ID = "9fd8ce95-67c1-488f-499f-20b0e1ef66b3", "0832932c-b6c6-455b-7e26-9284207831b6"
"""The ids of the instances that the client of the examples starts."""


class ExampleSimulator:
    """A simulator and its control API, after the requests that the examples of the document tell of."""

    def __init__(self, release: Release = DEFAULT_RELEASE) -> None:
        gateway = Gateway(Simulator(Scenario.named("default"), Options(clock="manual", release=release)))
        self.simulator, self.app = gateway.simulator, gateway.control_app
        asyncio.run(send_example_requests(gateway))
        monitor = {key: value for key, value in vars(self.simulator.client_monitor).items() if key != "controller"}
        self._loaded = self.simulator.scenario, self.simulator.options
        self._saved = pickle.dumps((self.simulator.controller, self.simulator.journal, monitor))

    def restore(self) -> None:
        """Bring back the state after the example requests."""
        controller, journal, monitor = pickle.loads(self._saved)
        self.simulator.scenario, self.simulator.options = self._loaded
        self.simulator.controller.replace_with(controller)
        self.simulator.journal = journal
        vars(self.simulator.client_monitor).update(monitor)

    def state(self) -> Any:
        """Return everything that a refusal must not change."""
        simulator = self.simulator
        return (
            dump(simulator.controller),
            [entry.as_json() for entry in simulator.journal],
            simulator.journal.count,
            simulator.report().as_json(),
            simulator.scenario,
            simulator.options,
            simulator.controller.log.count,
        )

    def send(self, method: str, path: str, body: object = None, **options: Any) -> TestResponse:
        """Send a request to the control API; an object or a list is sent as JSON."""
        data = json.dumps(body) if isinstance(body, dict | list) else body
        return self.app.test_client().open(path, method=method, data=data, **options)


async def send_example_requests(gateway: Gateway) -> None:
    """Send the requests that the examples of the document tell of."""
    rule = {
        "id": "flaky-pull",
        "match": {"event": "pull", "template": "13.6-arm64"},
        "do": {"fail": "no space left on device", "at": "40%"},
        "probability": 0.1,
    }
    first, second = gateway.simulator.controller.templates
    await send_request(gateway, "POST", "/_mock/faults", rule)
    start = {"vmid": first, "tag": "xcode-15", "name": "build-7", "external_id": "job-7"}
    await send_request(gateway, "POST", "/api/v1/vm", start)
    await send_request(gateway, "POST", "/_mock/clock/advance", {"by": "30s"})
    await send_request(gateway, "GET", "/api/v1/vm?id=nobody")
    headers = [(b"user-agent", b"build-client/1.0"), (b"authorization", b"Bearer 1234")]
    start = {"vmid": second, "name": "build-8", "external_id": "job-8"}
    await send_request(gateway, "POST", "/api/v1/vm", start, headers)
    assert [FIRST_ID, SECOND_ID] == list(gateway.simulator.controller.instances)[1:]


@cache
def example_simulator(release: Release = DEFAULT_RELEASE) -> ExampleSimulator:
    """Return the example simulator of a release, which tests share and restore."""
    return ExampleSimulator(release)
