"""The examples of the document are what the control API answers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import pytest
import yaml
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from mockanka.control import MAX_CONTROL_BODY
from mockanka.core.release import Release
from mockanka.scenario import Options, Scenario, dump
from mockanka.server.asgi import Gateway
from mockanka.simulator.simulator import Simulator
from tests.openapi.control_document.document import (
    JSON,
    METHODS,
    OPERATIONS,
    OPERATIONS_BY_ID,
    PROBLEM,
    STREAM,
    Operation,
    component,
    document,
    examples_of,
    schema_errors,
)
from tests.openapi.control_document.example_simulator import (
    FIRST_ID,
    SECOND_ID,
    ExampleSimulator,
    example_simulator,
    send_example_requests,
)


def without_wall_time(value: Any) -> Any:
    """Return a value without the keys that depend on the wall clock."""
    if isinstance(value, dict):
        return {key: without_wall_time(item) for key, item in value.items() if key not in ("wall", "seconds")}
    return [without_wall_time(item) for item in value] if isinstance(value, list) else value


def example_requests(operation: Operation) -> Iterator[tuple[str, str, str, Any]]:
    """Yield each example of an operation as it can be sent: its name, content type, target and body."""
    bodies = [
        (content_type, name, value)
        for content_type, media in operation.bodies.items()
        for name, value in examples_of(media).items()
    ]
    responses = examples_of(operation.responses[operation.success]["content"].get(JSON, {}))
    for content_type, name, value in bodies or [(JSON, name, None) for name in responses or ["all"]]:
        target, query = operation.path, {}
        for parameter in operation.parameters:
            values = examples_of(parameter)
            if parameter["in"] == "path":
                placeholder = f"{{{parameter['name']}}}"
                target = target.replace(placeholder, str(values.get(name) or next(iter(values.values()))))
            if parameter["in"] == "query" and name in values:
                query[parameter["name"]] = values[name]
        text = "&".join(f"{key}={value}" for key, value in query.items())
        yield name, content_type, f"{target}?{text}" if text else target, value


EXAMPLE_REQUESTS = {
    f"{operation.id}-{content_type}-{name}": (operation, name, content_type, target, value)
    for operation in OPERATIONS
    for name, content_type, target, value in example_requests(operation)
}


@pytest.mark.parametrize(
    ("operation", "name", "content_type", "target", "body"), EXAMPLE_REQUESTS.values(), ids=EXAMPLE_REQUESTS
)
def test_an_example_is_what_is_answered(
    example: ExampleSimulator, operation: Operation, name: str, content_type: str, target: str, body: object
) -> None:
    """The request of an example is answered with the response of the example."""
    data = body if body is None or content_type == JSON else yaml.safe_dump(body)
    response = example.send(operation.method, target, data, content_type=content_type)
    media = operation.responses[operation.success]["content"][JSON]
    values = examples_of(media)

    assert operation.success == response.status_code
    assert [] == schema_errors(media["schema"], response.get_json())
    if values:
        expected = values[name] if len(values) > 1 else next(iter(values.values()))
        assert without_wall_time(expected) == without_wall_time(response.json)


REFUSALS: list[tuple[str, int, str, str, object]] = [
    ("changeClock", 400, "misspelt", "clock", {"spd": 1}),
    ("advanceClock", 400, "backwards", "clock/advance", {"by": "-5s"}),
    ("advanceClock", 404, "nobody", "clock/advance", {"until": {"instance": "nobody", "state": "Started"}}),
    ("advanceClock", 409, "never", "clock/advance", {"until": {"instance": FIRST_ID, "state": "Pulling"}}),
    ("reset", 400, "misspelt", "reset", {"scenario": "defualt"}),
    ("reset", 400, "fraction", "reset", {"seed": 1.5}),
    ("loadScenario", 400, "misspelt", "scenario", {"nods": []}),
    ("loadScenario", 400, "empty", "scenario", ""),
    ("listRequests", 400, "misspelt", "requests?metod=GET", None),
    ("listRequests", 400, "word", "requests?status=OK", None),
    ("listRequests", 400, "expression", "requests?body~=(", None),
    ("expectRequests", 400, "expression", "requests/expect", {"body~": "("}),
    ("expectRequests", 409, "later", "requests/expect", {"since": 99}),
    ("waitForState", 400, "incomplete", "wait", {"instance": FIRST_ID}),
    ("waitForState", 404, "nobody", "wait", {"instance": "nobody", "state": "Started"}),
    ("waitForState", 409, "never", "wait", {"instance": FIRST_ID, "state": "Pulling"}),
    ("listEvents", 400, "misspelt", "events?sinse=3", None),
    ("listEvents", 400, "flag", "events?requests=yes", None),
    ("listEvents", 400, "word", "events?since=yesterday", None),
    ("addFault", 400, "nowhere", "faults", {"match": {"event": "pull", "node": "mini-1"}, "do": {"fail": "no"}}),
    ("addFault", 400, "idle", "faults", {"match": {"path": "/api/v1/vm"}}),
    ("removeFault", 404, "misspelt", "faults/flaky-pul", None),
    ("setNodeState", 400, "misspelt", "nodes/mini-01/offline", {"atonce": True}),
    ("setNodeState", 404, "nowhere", "nodes/mini-1/offline", None),
    ("setNodeState", 404, "misspelt", "nodes/mini-01/of-line", None),
    ("setNodeState", 409, "drain", "nodes/mini-01/drain", None),
    ("showInstance", 404, "nobody", "instances/nobody", None),
    ("actOnInstance", 400, "misspelt", f"instances/{FIRST_ID}/fail", {"mesage": "x"}),
    ("actOnInstance", 404, "nobody", "instances/nobody/fail", None),
    ("actOnInstance", 404, "misspelt", f"instances/{FIRST_ID}/vansh", None),
    ("actOnInstance", 409, "early", f"instances/{SECOND_ID}/stop", None),
]
"""The request of each example of a refusal."""

OLDER_RELEASES = {("setNodeState", "drain"): Release(1, 31, 0)}
"""Releases that refuse what later ones accept."""


@pytest.mark.parametrize(
    ("operation_id", "status", "name", "target", "body"), REFUSALS, ids=[f"{row[0]}-{row[2]}" for row in REFUSALS]
)
def test_a_refusal_is_as_described(
    example: ExampleSimulator, operation_id: str, status: int, name: str, target: str, body: object
) -> None:
    """A refusal is word for word that of the document, and changes nothing."""
    if (operation_id, name) in OLDER_RELEASES:
        example = example_simulator(OLDER_RELEASES[operation_id, name])
        example.restore()
    operation = OPERATIONS_BY_ID[operation_id]
    before = example.state()
    response = example.send(operation.method, f"/_mock/{target}", body, content_type=JSON)

    assert (status, PROBLEM) == (response.status_code, response.content_type)
    assert examples_of(operation.responses[status]["content"][PROBLEM])[name] == response.get_json(force=True)
    assert before == example.state()


WITH_BODY = [operation for operation in OPERATIONS if operation.bodies]


@pytest.mark.parametrize("operation", WITH_BODY, ids=[operation.id for operation in WITH_BODY])
def test_a_body_that_is_too_long_is_refused(example: ExampleSimulator, operation: Operation) -> None:
    """Every operation with a body refuses one that is too long, as described, and changes nothing."""
    before = example.state()
    target = next(target for _, _, target, _ in example_requests(operation))
    environ = EnvironBuilder(target, method=operation.method).get_environ()
    too_long = {**environ, "CONTENT_LENGTH": str(MAX_CONTROL_BODY + 1)}
    response = Response.from_app(example.app, too_long, buffered=True)
    (expected,) = examples_of(operation.responses[413]["content"][PROBLEM]).values()

    assert {**expected, "title": HTTPStatus(413).phrase} == json.loads(response.data)
    assert 413 == response.status_code
    assert before == example.state()


def test_every_refusal_is_tested() -> None:
    """Every example of a refusal has its request here, and every operation with a body one that is too long."""
    described = {
        (operation.id, status, name)
        for operation in OPERATIONS
        for status, response in operation.responses.items()
        for name in examples_of(response["content"].get(PROBLEM, {}))
    }

    assert {row[:3] for row in REFUSALS} | {(operation.id, 413, "large") for operation in WITH_BODY} == described


@pytest.mark.parametrize("path", document()["paths"])
def test_other_methods_are_refused(example: ExampleSimulator, path: str) -> None:
    """A method that a path does not have is answered with a problem, and Allow names those that it has."""
    target = re.sub(r"\{\w+\}", "x", path)
    known = {operation.method for operation in OPERATIONS if operation.path == path}
    undescribed = {"HEAD"} if "GET" in known else set()
    for method in {"OPTIONS", *(method.upper() for method in METHODS)} - known:
        response = example.send(method, target)

        assert (405, PROBLEM) == (response.status_code, response.content_type)
        assert [] == schema_errors(component("Problem"), response.get_json(force=True))
        assert known | undescribed == set(response.headers["Allow"].split(", "))


@pytest.mark.parametrize("path", ["/_mock/nothing", "/_mock/clock/", "/_mock/nodes/mini-01", "/_mock/faults/a/b"])
def test_other_paths_are_refused(example: ExampleSimulator, path: str) -> None:
    """An unknown path is answered with a problem."""
    response = example.send("POST", path)

    assert (404, PROBLEM) == (response.status_code, response.content_type)
    assert [] == schema_errors(component("Problem"), response.get_json(force=True))


@pytest.mark.parametrize("content_type", OPERATIONS_BY_ID["showScenario"].responses[200]["content"])
def test_the_scenario_has_every_described_content_type(example: ExampleSimulator, content_type: str) -> None:
    """The state can be had in each content type that the document names."""
    response = example.send("GET", "/_mock/scenario", headers={"Accept": content_type})

    assert (200, content_type) == (response.status_code, response.content_type)
    assert dump(example.simulator.controller) == yaml.safe_load(response.text)


def test_an_event_stream_is_as_described() -> None:
    """An event stream begins with a comment, and has a frame for each event after the requested number."""
    expected = examples_of(OPERATIONS_BY_ID["listEvents"].responses[200]["content"][STREAM])["stream"]
    messages: list[Any] = []
    gateway = Gateway(Simulator(Scenario.named("default"), Options(clock="manual")))

    async def listen() -> None:
        await send_example_requests(gateway)
        scope = {"type": "http", "method": "GET", "path": "/_mock/events", "query_string": b"since=4"}
        headers = [(b"accept", STREAM.encode())]
        has_body = asyncio.Event()

        async def send(message: Any) -> None:
            messages.append(message)
            if message.get("body"):
                has_body.set()

        never = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(gateway({**scope, "headers": headers}, lambda: never, send))
        await asyncio.wait_for(has_body.wait(), 5)
        gateway.close()
        await asyncio.wait_for(task, 5)

    asyncio.run(listen())

    assert (b"content-type", STREAM.encode()) in messages[0]["headers"]
    assert expected == b"".join(message["body"] for message in messages[1:]).decode()
