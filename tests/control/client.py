"""A client of the control API of a simulator in this process."""

from __future__ import annotations

import json
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mockanka.control import create_control
from mockanka.core.controller import Controller
from mockanka.core.instance_record import StartRequest
from mockanka.core.instances import start_instances
from mockanka.json_text import parse_json
from mockanka.scenario import Options, Scenario
from mockanka.simulator.simulator import Simulator

BEGIN = "2024-01-01T00:00:00Z"
"""The time at which a scenario starts unless its clock is real."""


class ControlClient:
    """A client of the control API of a simulator, with a manual clock unless the options say otherwise."""

    def __init__(self, scenario: str = "default", **options: Any) -> None:
        self.simulator = Simulator(Scenario.named(scenario), Options(**{"clock": "manual", **options}))
        self.flask_client: FlaskClient = create_control(self.simulator).test_client()

    @property
    def controller(self) -> Controller:
        """The controller of the simulator."""
        return self.simulator.controller

    def send(self, method: str, path: str, body: object = None, **options: Any) -> TestResponse:
        """Send a request; ``path`` is the part after /_mock/, and a body that is no text is sent as JSON."""
        data = body if isinstance(body, str | bytes | None) else json.dumps(body)
        return self.flask_client.open(f"/_mock/{path}", method=method, data=data, **options)

    def refused(self, method: str, path: str, body: object = None, **options: Any) -> tuple[int, str]:
        """Send a request that must be refused, and return the status and the detail of the problem."""
        return check_problem(self.send(method, path, body, **options))

    def advance(self, **body: object) -> TestResponse:
        """Send POST clock/advance."""
        return self.send("POST", "clock/advance", body)

    @property
    def now(self) -> str:
        """The time of the clock."""
        return str(self.send("GET", "clock").get_json()["now"])

    def start(self, **fields: Any) -> str:
        """Start an instance of the first template and return its id."""
        return start_instances(self.controller, StartRequest(next(iter(self.controller.templates)), **fields))[0]


def check_problem(response: TestResponse) -> tuple[int, str]:
    """Check that a response is a problem, and return its status and detail."""
    assert "application/problem+json" == response.content_type
    problem = response.get_json(force=True)
    assert response.status_code == problem["status"]
    assert {"type", "title", "status", "detail"} <= set(problem)
    return response.status_code, problem["detail"]


def is_strict_json(text: str) -> bool:
    """Return whether a text is JSON of RFC 8259, without NaN and Infinity."""
    try:
        parse_json(text)
    except ValueError:
        return False
    return True
