"""Everything that can be read after a fault is as the document describes it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

import pytest
import requests

import mockanka
from mockanka.core.faults import LIFECYCLE_FAULTS
from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario
from mockanka.server.asgi import Gateway
from mockanka.simulator.simulator import Simulator
from tests.openapi.control_document.document import JSON, OPERATIONS, PROBLEM, component, find_operation, schema_errors
from tests.openapi.control_document.fault_keys import ACTION_VALUES
from tests.server.asgi_client import send_request

SCRIPT = "IyEvYmluL3NoCmV4aXQgMAo="


def find_response_errors(get: Callable[[str], str]) -> list[str]:
    """Return what is not as described in the responses to all GETs; ``get`` returns the text at a path."""
    targets = [operation.path for operation in OPERATIONS if operation.method == "GET" and "{" not in operation.path]
    subjects = {event["subject"] for event in json.loads(get("/_mock/events"))["events"]}
    found = []
    for target in [*targets, *(f"/_mock/instances/{subject}" for subject in sorted(subjects))]:
        operation = find_operation("GET", target)
        assert operation is not None
        data = json.loads(get(target))
        status, content_type = (404, PROBLEM) if "detail" in data else (200, JSON)
        media = operation.responses[status]["content"][content_type]
        found += [f"{target}: {error}" for error in schema_errors(media["schema"], data)]
    return found


@pytest.mark.parametrize("event", LIFECYCLE_FAULTS)
def test_responses_after_a_lifecycle_fault_are_as_described(event: str) -> None:
    """Events, timelines, journal, report and state conform to the document after every lifecycle fault."""
    found = {action: find_errors_after_fault(event, action, keys) for action, keys in LIFECYCLE_FAULTS[event].items()}

    assert {} == {action: errors for action, errors in found.items() if errors}


def find_errors_after_fault(event: str, action: str, keys: Iterable[str]) -> list[str]:
    """Return what is not as described after some requests to a controller with a lifecycle fault."""
    gateway = Gateway(Simulator(Scenario.named("default"), Options(clock="manual", release=Release(1, 24, 0))))
    controller = gateway.simulator.controller

    async def send_requests() -> None:
        keys_together = {action, *keys} - {"after_polls"}  # it excludes after
        rule = {"match": {"event": event}, "do": {key: ACTION_VALUES[key] for key in keys_together}}
        first, second = controller.templates
        script = {"startup_script": SCRIPT, "script_monitoring": True}
        assert 201 == (await send_request(gateway, "POST", "/_mock/faults", rule)).status
        await send_request(gateway, "POST", "/api/v1/vm", {"vmid": first, "count": 2, **script})
        await send_request(gateway, "POST", "/api/v1/vm", {"vmid": second, "external_id": "job-1"})
        await send_request(gateway, "POST", "/api/v1/registry/vm/distribute", {"template_id": second})
        for _ in range(3):
            instance_ids = list(controller.instances)
            await send_request(gateway, "POST", "/_mock/clock/advance", {"by": "100s"})
            await send_request(gateway, "POST", "/api/v1/image", {"id": instance_ids[0], "new_template_name": "saved"})
            await send_request(gateway, "DELETE", "/api/v1/vm", {"id": instance_ids[-1]})
            await send_request(gateway, "GET", "/api/v1/vm?id=nobody")

    asyncio.run(send_requests())
    client = gateway.control_app.test_client()
    return find_response_errors(lambda target: client.get(target).text)


RESPONSE_FAULT_ACTIONS: list[dict[str, object]] = [
    {"status": 503, "body": "no"},
    {"fail": "no", "acts": True},
    {"connection": "close"},
    {"connection": "reset", "at": "20%"},
    {"cut": "40%"},
    {"without": ["instance_id"]},
    {"stale": True},
    {"refuse": "1ms"},
]


def test_responses_after_response_faults_are_as_described() -> None:
    """Responses of a real server conform after every response fault; its journal has every outcome but one."""
    with mockanka.serve("default", clock="manual") as anka:
        body = {"vmid": next(iter(anka._simulator.controller.templates)), "name": "x" * 70_000}
        for do in RESPONSE_FAULT_ACTIONS:
            # The body of a POST has no keys that could be left out.
            method = {"method": "GET"} if "without" in do else {}
            anka.faults.add(match={"path": "/api/v1/vm", **method}, do=do, times=1)
            for method in ("POST", "GET"):
                with suppress(requests.RequestException):
                    requests.request(method, f"{anka.url}/api/v1/vm", json=body, timeout=5)
            if "refuse" in do:
                time.sleep(0.1)
        found = find_response_errors(lambda target: requests.get(anka.url + target, timeout=5).text)
        journal = requests.get(f"{anka.url}/_mock/requests", timeout=5).json()["requests"]

    assert [] == found
    outcomes = {entry["outcome"] for entry in journal}
    assert outcomes | {"client left"} == set(component("JournalEntry")["properties"]["outcome"]["enum"])
