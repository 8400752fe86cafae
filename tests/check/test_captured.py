"""Responses that were captured from real controllers, or that the reference prints, have no findings.

`captured` has a HAR file for each release with such responses, made from the names and values on record.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockanka.check.from_recording import check_recording
from mockanka.check.runner import CheckPlan, check_controller
from mockanka.core.release import Release
from mockanka.recording.har import read_har
from mockanka.remote.client import ControllerClient
from tests.check.simulated import PACE, URL, failures

FOLDER = Path(__file__).parent / "captured"
RECORDINGS = sorted(FOLDER.glob("*.har"), key=lambda file: Release.parse(file.stem))
LISTS = {"/api/v1/vm": "instance_id", "/api/v1/node": "node_id", "/api/v1/registry/vm": "id", "/api/v1/image": "id"}
"""The paths of lists, with the key of an item's id."""


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_captured_responses_are_clean(file: Path) -> None:
    """A recording of captured responses has neither failures nor notes, and all its responses are checked."""
    results = check_recording(file)

    assert ([], []) == (failures(results), list(results.with_outcome("noted")))
    assert (0, [], file.stem) == (results.exit_status, results.remarks, str(results.contract.release))
    assert len(read_har(file).exchanges) == sum(totals.requests for totals in results.request_totals.values())


class ReplayedController(httpx.BaseTransport):
    """Answers the GETs of a run with the responses in a recording; a single item may be that of the list."""

    def __init__(self, file: Path, version: str) -> None:
        self.bodies: dict[str, Any] = {
            f"{recorded.exchange.path}?{recorded.exchange.query}": recorded.exchange.body
            for recorded in read_har(file).exchanges
            if recorded.exchange.method == "GET" and recorded.exchange.succeeded
        }
        status = {"status": "Running", "version": version, "registry_address": "http://anka.registry:8089"}
        self.bodies["/api/v1/registry/disk?"] = {"free": 335356690432, "total": 1000240963584}
        self.bodies["/api/v1/status?"] = status | {"registry_status": "Running", "license": "enterprise plus"}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path, query = request.url.path, request.url.query.decode()
        key = f"{path}?{'' if query == 'id=' else query}"
        if key in self.bodies:
            return self._respond({"status": "OK", "message": "", "body": self.bodies[key]})
        listed = self.bodies.get(f"{path}?")
        if listed is None:
            return httpx.Response(404, text="404 page not found\n")
        for item in listed if path in LISTS else ():
            if query == f"id={item[LISTS[path]]}":
                return self._respond({"status": "OK", "message": "", "body": self._single(path, item)})
        return self._respond({"status": "FAIL", "message": "Not found"})

    def _single(self, path: str, item: dict[str, Any]) -> Any:
        if path == "/api/v1/registry/vm":
            (shown,) = [body for key, body in self.bodies.items() if key.startswith(f"{path}?id=")]
            return {"id": item["id"], "name": item["name"], "versions": shown["versions"]}
        return item.get("vm", item)

    def _respond(self, envelope: dict[str, Any]) -> httpx.Response:
        content = json.dumps(envelope) + "\n"
        return httpx.Response(200, content=content, headers={"content-type": "application/json"})


def test_a_controller_with_the_responses_of_the_reference_is_clean() -> None:
    """The reference shows a node that counts one VM, and three that run on it: a note, and no failure."""
    transport = ReplayedController(FOLDER / "1.8.0.har", "1.8.0-91225db0")
    client = ControllerClient(URL, transport=transport)
    results = check_controller(client, CheckPlan(pace=PACE), lambda seconds: None)

    assert [] == failures(results)
    assert {("listNodes", "node-counters"), ("listNodes", "node-sums")} == {
        (result.operation, result.check) for result in results.with_outcome("noted")
    }
    assert 0 == results.exit_status
