"""Requests that schemathesis makes from the document are answered as it describes.

The one response that is not looked at is an event stream, which the WSGI application does not have.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import schemathesis
from schemathesis.engine import events, from_schema
from werkzeug.wrappers import Response

from tests.control.client import is_strict_json
from tests.openapi.control_document.document import (
    DOCUMENT,
    JSON,
    OPERATIONS_BY_ID,
    Operation,
    find_operation,
    resolve,
    rule_errors,
    schema_errors,
)
from tests.openapi.control_document.example_simulator import ExampleSimulator

UNDESCRIBED_REFUSALS = (
    "is longer than a thousand years",
    "is longer than any amount is written",
    "beyond the year 9000",
    "must be longer than zero",
    "a bandwidth must be more than zero",
    "is more than 1000000000000000000 bytes",
    "is no part",  # a part of more bytes than that
    "uniform: ",
    "there is no ",
    "no operation has the path",
    "takes no",
    "there is another fault",
    "so it would never be applied",
    "every needs a for that is shorter",
    "every is 1s or more",
    "only the answer to a GET can be repeated",  # of a path that has one
    "requests to the control API are never matched",
)
"""Reasons to refuse what the schemas allow: the document has them in words, no schema can express them."""

PHASES = ("examples", "coverage", "fuzzing")


class CheckedApp:
    """The control API of the examples; each request finds it in the same state, and every exchange is checked."""

    def __init__(self) -> None:
        self.example = ExampleSimulator()
        self.before = self.example.state()
        self.statuses: Counter[tuple[str, int]] = Counter()
        """How often an operation, by its id, was answered with a status."""
        self.complaints: dict[str, str] = {}
        """The failures, the first of each kind."""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.example.restore()
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        response = Response.from_app(self.example.app, environ, buffered=True)
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        operation = find_operation(method, path)
        label = operation.id if operation else f"{method} {path}"
        self.statuses[operation.id if operation else "unknown", response.status_code] += 1
        for problem, detail in self._check(operation, environ, body, response):
            kind = re.sub(r"[0-9a-f-]{36}", "ID", f"{label}: {problem}")
            self.complaints.setdefault(kind, f"{kind}: {detail}: {environ['QUERY_STRING']} {body[:300]!r}")
        return response(environ, start_response)

    def _check(
        self, operation: Operation | None, environ: dict[str, Any], body: bytes, response: Response
    ) -> Iterator[tuple[str, str]]:
        status, text = response.status_code, response.get_data(as_text=True)
        if status >= 400 and self.before != self.example.state():
            yield "a refusal changed something", text
        if operation is None:
            return
        if status >= 500 or status not in operation.responses:
            yield f"status {status} is not described", text
            return
        if not is_strict_json(text):
            yield "the response is no JSON", text
            return
        media = operation.responses[status]["content"][response.content_type]
        found = schema_errors(media["schema"], json.loads(text))
        if found:
            yield "the response is not as described", str(found[:1])
        mistake = find_query_error(operation, environ["QUERY_STRING"]) or find_body_error(operation, body)
        if mistake and status < 400:
            yield "accepts what the document forbids", mistake
        if not mistake and status == 400 and not self._is_excused(operation, json.loads(text)["detail"]):
            yield "refuses what the document allows", text

    @staticmethod
    def _is_excused(operation: Operation, detail: str) -> bool:
        # Scenarios have a schema of their own.
        has_scenario = operation.id in ("reset", "loadScenario")
        return has_scenario or any(words in detail for words in UNDESCRIBED_REFUSALS)


def find_query_error(operation: Operation, query: str) -> str | None:
    """Return why the document forbids a query, or None; the first of several parameters of one name counts."""
    values: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        values.setdefault(name, value)
    in_query = [parameter for parameter in operation.parameters if parameter["in"] == "query"]
    schemas = {parameter["name"]: resolve(parameter["schema"]) for parameter in in_query}
    for name, text in values.items() if schemas else ():
        if name not in schemas:
            return f"there is no parameter {name}"
        is_number = schemas[name]["type"] == "integer" and re.fullmatch("[0-9]+", text)
        if found := schema_errors(schemas[name], int(text) if is_number else text):
            return f"{name}: {found[0]}"
    return None


def find_body_error(operation: Operation, body: bytes) -> str | None:
    """Return why the document forbids a body, both as it is and with typed values, or None."""
    media = operation.bodies.get(JSON)
    if media is None or operation.id == "loadScenario":  # a scenario is YAML unless its content type is JSON
        return None
    if not body.strip():
        return "there is no body" if operation.spec["requestBody"]["required"] else None
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return "the body is no JSON"
    if data is None and not operation.spec["requestBody"]["required"]:
        return None
    if operation.id == "addFault":
        rules = data if isinstance(data, list) else [data]
        return next(
            (found[0] for rule in rules if (found := rule_errors(rule)) and rule_errors(with_typed_values(rule))), None
        )
    found = schema_errors(media["schema"], data)
    return found[0] if found and schema_errors(media["schema"], with_typed_values(data)) else None


NUMBERS = ("speed", "seed", "skip", "times", "probability", "seen", "fired", "status", "exit", "lognormal")
BOOLEANS = ("at_once", "acts", "stale", "stall", "timeout", "stop", "vanish", "ignore")


def with_typed_values(value: Any, key: str = "") -> Any:
    """Return a body with numbers and booleans in place of texts, as YAML may have them, and lists of single texts."""
    if key == "without" and not isinstance(value, list):
        return [with_typed_values(value)]
    if isinstance(value, dict):
        return {name: with_typed_values(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [with_typed_values(item, key) for item in value]
    if isinstance(value, str) and key in BOOLEANS:
        return {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}.get(value.lower())
    if isinstance(value, str) and key in NUMBERS:
        try:
            return json.loads(value)
        except ValueError:
            pass
    return value.strip() if isinstance(value, str) else value


def find_failures(
    app: CheckedApp, phases: Iterable[str] = PHASES, max_examples: int = 15, **operations: Any
) -> Iterator[str]:
    """Yield what schemathesis finds in some phases and operations."""
    settings = {name: {"enabled": name in phases} for name in (*PHASES, "stateful")}
    disabled = ("positive_data_acceptance", "negative_data_rejection")  # the application checks that more closely
    config = schemathesis.Config.from_dict(
        {
            "seed": 20,
            "checks": {name: {"enabled": False} for name in disabled},
            "phases": settings,
            "continue-on-failure": True,
            "generation": {"max-examples": max_examples, "deterministic": True, "database": "none"},
        }
    )
    schema = schemathesis.openapi.from_path(DOCUMENT, config=config)
    schema.app = app
    for event in from_schema(schema.include(**operations)).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            yield f"error: {event!r}"
        if isinstance(event, events.ScenarioFinished):
            for checks in event.recorder.checks.values():
                for check in checks:
                    if check.failure_info is not None:
                        failure = check.failure_info.failure
                        yield f"{event.recorder.label}: {check.name}: {failure.title}: {failure.message}"[:600]


OTHER_OPERATIONS = sorted(set(OPERATIONS_BY_ID) - {"addFault"})


def test_every_operation_conforms_to_the_document() -> None:
    """Examples, edge cases and random requests get responses that conform, and refusals change nothing."""
    app = CheckedApp()

    assert [] == sorted(set(find_failures(app, operation_id=OTHER_OPERATIONS)))
    assert [] == list(app.complaints.values())
    assert [] == [name for name in OTHER_OPERATIONS if not app.statuses[name, OPERATIONS_BY_ID[name].success]]
    # Every operation that can refuse a request has refused one.
    refused = {name for name, status in app.statuses if status >= 400}
    assert {name for name in OTHER_OPERATIONS if set(OPERATIONS_BY_ID[name].responses) & {400, 404}} <= refused


def test_adding_faults_conforms_to_the_document() -> None:
    """Examples and random fault rules get responses that conform; their edge cases are in the tests of fault rules."""
    app = CheckedApp()

    assert [] == sorted(set(find_failures(app, ["examples", "fuzzing"], 50, operation_id="addFault")))
    assert [] == list(app.complaints.values())
    assert {201, 400} == {status for name, status in app.statuses if name == "addFault"}
