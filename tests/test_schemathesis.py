"""The wire held against its contract, release by release, with requests that schemathesis makes from the document.

Schemathesis tells accepted from rejected data by the HTTP status, which does not tell here: 1.8.0 says 200 with FAIL,
1.50.1 says 400 to an unknown id that is valid data. One check of our own reads the envelope instead. Another looks at
which of several shapes an answer has, which in the document depends on the query.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple
from unittest.mock import patch
from urllib.parse import parse_qsl
from zlib import crc32

import hypothesis
import pytest
import schemathesis
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from schemathesis.core.failures import FailureGroup
from schemathesis.engine import events, from_schema
from schemathesis.specs.openapi import stateful
from werkzeug.wrappers import Response

from mockanka.api.app import create_app
from mockanka.contract.document import METHODS, look_up
from mockanka.core import distribution, instance, save_image
from mockanka.core.controller import Controller
from mockanka.core.instance_record import StartRequest
from mockanka.core.release import Release
from mockanka.core.save_image import SaveRequest
from mockanka.core.steering import settle
from mockanka.core.timing import SECOND
from mockanka.scenario import Options, Scenario
from tests.contracts import JSON, RELEASES, contract, has

BASE = "urn:mockanka:contract"
OLD, NEW = RELEASES[0], RELEASES[-1]

# ---- the document --------------------------------------------------------------------------------------------------


def document(release: str) -> dict[str, Any]:
    """The contract of a release."""
    return contract(release).document


@cache
def operations(release: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Every operation of a release by method and path."""
    return {
        (method.upper(), path): item[method]
        for path, item in document(release)["paths"].items()
        for method in METHODS
        if method in item
    }


def _is_go_integer(_: object, value: object) -> bool:
    """Whether JSON writes it as an integer that 64 bits hold: true is none, nor is 39.0."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _pattern(_: object, pattern: str, value: object, __: object) -> Iterator[ValidationError]:
    """As everywhere but in Python ``$`` is the end, and not also before a line break at the end."""
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


Strict = extend(
    Draft202012Validator,
    {"pattern": _pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_go_integer),
)


@cache
def validator(release: str, pointer: str) -> Any:
    registry: Registry[Any] = Registry().with_resource(BASE, DRAFT202012.create_resource(document(release)))
    return Strict({"$ref": f"{BASE}{pointer}"}, registry=registry)


def request_schema(operation: dict[str, Any]) -> str | None:
    """Where the schema of an operation's body stands; None if it takes none."""
    if "requestBody" not in operation:
        return None
    pointer: str = operation["requestBody"]["content"][JSON]["schema"]["$ref"]
    return pointer


def shapes_by_query(operation: dict[str, Any]) -> dict[str, str]:
    """The shapes of an answer that a query selects, in the order in which they are looked for."""
    found: dict[str, str] = operation["responses"]["200"].get("content", {}).get(JSON, {}).get("x-when-query", {})
    return found


# ---- what was sent, and what came back -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Exchange:
    """One request as it reached the application, and its answer."""

    method: str
    path: str
    query: str
    sent: bytes
    status: int
    content: bytes
    release: str
    kind: str = JSON

    @property
    def operation(self) -> dict[str, Any] | None:
        return operations(self.release).get((self.method, self.path))

    @property
    def envelope(self) -> dict[str, Any]:
        """What the answer says; a probe has no envelope, and its HTTP status says it all."""
        if self.kind != JSON:
            return {"status": "OK" if self.status == 200 else "FAIL", "message": ""}
        loaded: dict[str, Any] = json.loads(self.content)
        return loaded

    @property
    def parameters(self) -> dict[str, str]:
        """The query as Go reads it: of several the first counts, and an empty one counts as absent."""
        first: dict[str, str] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            first.setdefault(name, value)
        return {name: value for name, value in first.items() if value}

    @property
    def asked(self) -> str:
        """The key of x-when-query that applies."""
        for key in shapes_by_query(self.operation) if self.operation else ():
            name, _, value = key.partition("=")
            if name in self.parameters and (not value or value == self.parameters[name]):
                return key
        return "otherwise"


def wrong_with_query(exchange: Exchange, operation: dict[str, Any]) -> str | None:
    """Why the query is none that the document allows."""
    for reference in operation.get("parameters", []):
        parameter = look_up(document(exchange.release), reference["$ref"])
        name, text = parameter["name"], exchange.parameters.get(parameter["name"])
        if text is None:
            if parameter["required"]:
                return f"query parameter {name} is missing"
            continue
        whole = parameter["schema"]["type"] == "integer" and re.fullmatch("-?[0-9]{1,30}", text, re.ASCII)
        value = int(text) if whole else text
        if not validator(exchange.release, f"{reference['$ref']}/schema").is_valid(value):
            return f"query parameter {name} may not be {text[:40]!r}"
    return None


def wrong_with_body(exchange: Exchange, operation: dict[str, Any]) -> str | None:
    """Why the body, read as the controller reads it, is none that the document allows."""
    pointer = request_schema(operation)
    if pointer is None or not (exchange.sent.strip() or operation["requestBody"]["required"]):
        return None
    try:
        data = json.loads(exchange.sent.decode("utf-8", "replace"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return "the body is not JSON"
    if not isinstance(data, dict):
        return "the body is no object"
    read = as_read(data, {"$ref": pointer}, exchange.release)
    for error in validator(exchange.release, pointer).iter_errors(read):
        return f"the body is wrong at {error.json_path}: {error.message[:200]}"
    return None


def as_read(data: Any, schema: dict[str, Any], release: str) -> Any:
    """What is sent as the controller reads it, all through.

    Keys come in any case; null is not given, nor is a blank text that is optional.
    """
    schema = _settled(schema, release)
    if isinstance(data, list) and "items" in schema:
        return [as_read(each, schema["items"], release) for each in data]
    if not isinstance(data, dict) or "properties" not in schema:
        return data
    properties = {name: _settled(each, release) for name, each in schema["properties"].items()}
    known = {name.casefold(): name for name in properties}
    given = {known.get(key.casefold(), key): value for key, value in data.items() if value is not None}
    given |= {key: value for key, value in data.items() if key in properties and value is not None}
    texts = {name for name, each in properties.items() if "string" in each.get("type", "")}
    blank = texts - set(schema.get("required", []))
    return {
        key: as_read(value, properties.get(key, {}), release)
        for key, value in given.items()
        if value != "" or key not in blank
    }


def _settled(schema: dict[str, Any], release: str) -> dict[str, Any]:
    while "$ref" in schema:
        schema = look_up(document(release), schema["$ref"])
    return schema


def _no_constant(name: str) -> None:
    raise ValueError(name)


# ---- the two checks ------------------------------------------------------------------------------------------------


def wrong_with_envelope(exchange: Exchange) -> str | None:
    """Why the envelope does not go with the request; None if it does."""
    operation = exchange.operation
    if operation is None:
        expected = 405 if exchange.path in document(exchange.release)["paths"] else 404
        return None if exchange.status == expected else f"answers {exchange.status} to what is no operation"
    status = exchange.envelope.get("status")
    failure = 400 if has(exchange.release, "1.20.0") else 200
    if exchange.status != (200 if status == "OK" else failure):
        return f"says {status} with HTTP status {exchange.status}"
    wrong = wrong_with_query(exchange, operation) or wrong_with_body(exchange, operation)
    if wrong and status != "FAIL":
        return f"takes what the document forbids: {wrong}"
    message = exchange.envelope["message"]
    # A body where none is documented may be read all the same: a revert takes one, which the document leaves out.
    documented = not exchange.sent or request_schema(operation) is not None
    if not wrong and documented and status == "FAIL" and message.startswith("invalid request"):
        return f"calls invalid what the document allows: {message}"
    return None


def wrong_with_shape(exchange: Exchange) -> str | None:
    """Why a success does not have the shape that the query asks for; None if it has."""
    if exchange.operation is None or exchange.envelope.get("status") != "OK":
        return None
    by_query = shapes_by_query(exchange.operation)
    if not by_query:
        return None
    for error in validator(exchange.release, by_query[exchange.asked]).iter_errors(exchange.envelope):
        return f"is not the shape for {exchange.asked}: {error.json_path}: {error.message[:200]}"
    return None


def _wrong(case: schemathesis.Case, judge: Callable[[Exchange], str | None]) -> str | None:
    """What a judge finds wrong with the last exchange. Checks are known to every test: other applications pass."""
    watched = case.operation.schema.app
    return judge(watched.last) if isinstance(watched, Watched) else None


@schemathesis.check
def envelope_goes_with_request(ctx: schemathesis.CheckContext, response: Any, case: schemathesis.Case) -> None:
    wrong = _wrong(case, wrong_with_envelope)
    if wrong:
        raise AssertionError(wrong)


@schemathesis.check
def shape_goes_with_query(ctx: schemathesis.CheckContext, response: Any, case: schemathesis.Case) -> None:
    wrong = _wrong(case, wrong_with_shape)
    if wrong:
        raise AssertionError(wrong)


# ---- the application under test ------------------------------------------------------------------------------------

DEFAULT = Scenario.named("default")
Spoil = Callable[[Exchange], Exchange]


def plain(release: str) -> Controller:
    """The default scenario."""
    controller = DEFAULT.controller(Options(clock="manual", release=Release.parse(release)))
    controller.advance()
    return controller


def furnished(release: str) -> Controller:
    """The default scenario with one of everything: also a distribution, a save image request, and more instances."""
    controller = plain(release)
    template_id = next(iter(controller.templates))
    made = instance.start(controller, StartRequest(template_id), 2)
    settle(controller)
    save_image.create(controller, SaveRequest(made[0], new_template_name="saved"))
    distribution.create(controller, template_id)
    return controller


@dataclass
class Watched:
    """An application whose last exchange can be looked at.

    Without a step each request finds the world furnished anew; with one time moves on by it before each request, and
    only ``begin`` brings the beginning back. ``spoil`` falsifies answers.
    """

    release: str
    step: int = 0
    spoil: Spoil | None = None
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    shapes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Successes of an operation by the key of x-when-query that applied."""
    strays: Counter[int] = field(default_factory=Counter)
    """HTTP statuses of requests to what is no operation."""

    def __post_init__(self) -> None:
        self.controller = furnished(self.release)
        self._app = create_app(self.controller)

    def begin(self) -> None:
        self.controller.become(plain(self.release) if self.step else furnished(self.release))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self.step:
            self.controller.clock.advance(self.step)
        else:
            self.begin()
        sent = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(sent)
        answer = Response.from_app(self._app, environ, buffered=True)
        exchange = Exchange(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            environ["QUERY_STRING"],
            sent,
            answer.status_code,
            answer.data,
            self.release,
            answer.mimetype,
        )
        if self.spoil and exchange.operation:
            exchange = self.spoil(exchange)
            answer.data, answer.status_code = exchange.content, exchange.status
        self.last = exchange
        self._count(exchange)
        return answer(environ, start_response)

    def _count(self, exchange: Exchange) -> None:
        if exchange.operation is None:
            self.strays[exchange.status] += 1
        else:
            status = exchange.envelope["status"]
            self.seen[exchange.operation["operationId"], status] += 1
            if status == "OK":
                self.shapes[exchange.operation["operationId"], exchange.asked] += 1


class Known(NamedTuple):
    """What a request can name in the furnished world."""

    templates: list[str]
    nodes: list[str]
    groups: list[str]
    instances: list[str]
    distributions: list[str]
    save_images: list[str]
    tags: list[str]

    @classmethod
    def of(cls, controller: Controller) -> Known:
        kinds = ("templates", "nodes", "groups", "instances", "distributions", "save_images")
        return cls(*([*getattr(controller, kind)] for kind in kinds), ["vanilla", "xcode-15"])


IN_BODY = {
    "vmid": "templates",
    "template_id": "templates",
    "target_vm_id": "templates",
    "node_id": "nodes",
    "node_ids": "nodes",
    "group_id": "groups",
    "group_ids": "groups",
    "fallback_group_id": "groups",
    "id": "instances",
    "instance_id": "instances",
    "tag": "tags",
}
AT_ODDS = ("tag", "version", "node_id", "group_id")
"""What a start asks for that the template, or the node, may not have."""

IN_QUERY = {
    "/api/v1/vm": "instances",
    "/api/v1/node": "nodes",
    "/api/v1/registry/vm": "templates",
    "/api/v1/registry/vm/remove": "templates",
    "/api/v1/registry/revert": "templates",
    "/api/v1/registry/vm/distribute": "distributions",
    "/api/v1/image": "save_images",
    "/api/v1/group": "groups",
}


@schemathesis.hook
def before_call(context: Any, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Let most texts that stand where an id belongs name something: made up they never would, and nothing would be OK.

    What names something already, as an id that a link brought, stays. What is drawn depends on the text alone.
    """
    watched = case.operation.schema.app
    if not isinstance(watched, Watched):
        return
    known = Known.of(watched.controller)
    if isinstance(case.body, dict):
        case.body = {key: _made_known(value, IN_BODY.get(key), known) for key, value in case.body.items()}
        if isinstance(case.body.get("usb_device"), str):
            case.body["usb_device"] = "iphone"
        if _is_go_integer(None, case.body.get("version")):
            case.body["version"] %= 3
        if _is_go_integer(None, case.body.get("count")):
            case.body["count"] = min(case.body["count"], 10_001)
        for name, right in (("startup_script", "c3dfdmVycwo="), ("vlan_tag", "")):
            if isinstance(case.body.get(name), str) and _draw(case.body[name]) % 4:
                case.body[name] = right
        vmid = case.body.get("vmid")
        if vmid in known.templates and _draw("".join(case.body)) % 3:  # what goes together seldom goes by chance
            case.body = {key: value for key, value in case.body.items() if key not in AT_ODDS}
        if watched.step and "vmid" in case.body:  # links need starts that succeed, and instances that find a node
            case.body = {"vmid": known.templates[0], "name": case.body.get("name", "")}
        if watched.step and "template_id" in case.body:
            case.body = {"template_id": known.templates[0]}
    if case.query and case.query.get("id"):
        case.query = {**case.query, "id": _made_known(case.query["id"], IN_QUERY.get(case.path), known, odds=3)}
    if case.path == "/api/v1/registry/revert" and case.query and _draw("".join(case.query)) % 3:
        case.query = {
            key: value for key, value in case.query.items() if key == "id"
        }  # which version goes seldom with it
    if case.query and case.query.get("tag"):
        case.query = {**case.query, "tag": _made_known(case.query["tag"], "tags", known)}
    if case.query and isinstance(case.query.get("apiVer"), str) and _draw(case.query["apiVer"]) % 2:
        case.query = {**case.query, "apiVer": "v1"}


def _draw(text: str) -> int:
    return crc32(text.encode("utf-8", "replace"))


def _made_known(value: Any, kind: str | None, known: Known, odds: int = 4) -> Any:
    """The name of something, but for one text in so many."""
    if isinstance(value, list):
        return [_made_known(each, kind, known) for each in value]
    if kind is None or not isinstance(value, str) or not value:
        return value
    names: list[str] = getattr(known, kind)
    draw = _draw(value)
    return value if value in names or not names or draw % odds == 0 else names[draw // odds % len(names)]


# ---- running schemathesis ------------------------------------------------------------------------------------------

# The two checks that read HTTP statuses are replaced by those above.
CHECKS = {name: {"enabled": False} for name in ("positive_data_acceptance", "negative_data_rejection")}
UNIT_PHASES = ("examples", "coverage", "fuzzing")
SHORT_PHASES = ("examples", "fuzzing")


def schema_for(watched: Watched, phases: Iterable[str] = UNIT_PHASES, examples: int = 25) -> Any:
    """The contract of its release, bound to an application."""
    settings: dict[str, Any] = {
        name: {"enabled": name in phases, "extra-data-sources": {"responses": False}} for name in UNIT_PHASES
    }
    settings["coverage"]["generate-duplicate-query-parameters"] = True
    # What schemathesis takes for links by itself is partly wrong; those of the document are the ones that count.
    settings["stateful"] = {
        "enabled": "stateful" in phases,
        "generation": {"mode": "positive"},
        "inference": {"algorithms": []},
        "link-calibration": False,
    }
    config = schemathesis.Config.from_dict(
        {
            "seed": 20,
            "checks": CHECKS,
            "phases": settings,
            "continue-on-failure": True,
            "generation": {"max-examples": examples, "deterministic": True, "database": "none"},
        }
    )
    schema = schemathesis.openapi.from_dict(document(watched.release), config=config)
    schema.app = watched
    return schema


def findings(schema: Any) -> Iterator[str]:
    """What schemathesis finds in the phases that send single requests."""
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            yield f"error: {event!r}"
        if isinstance(event, events.ScenarioFinished):
            for checks in event.recorder.checks.values():
                for each in checks:
                    if each.failure_info is not None:
                        failure = each.failure_info.failure
                        yield f"{event.recorder.label}: {each.name}: {failure.title}: {failure.message}"[:600]


def found_by_check(watched: Watched, operation_id: str) -> set[str]:
    """The names of the checks that complain about one operation."""
    found = findings(schema_for(watched, ["fuzzing"]).include(operation_id=operation_id))
    return {each.split(": ")[1] for each in found}


# ---- the tests -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", RELEASES)
def test_every_operation_keeps_to_the_document(release: str) -> None:
    """Examples, edge cases and random requests find nothing, and every operation succeeds for some of them."""
    watched = Watched(release)
    each_operation = {each["operationId"]: each for each in operations(release).values()}
    # All edge cases of all fields are those of the first release and of the last.
    edges = release in (OLD, NEW)

    assert sorted(set(findings(schema_for(watched, UNIT_PHASES if edges else SHORT_PHASES)))) == []
    assert [name for name in each_operation if not watched.seen[name, "OK"]] == []
    # With the edge cases come methods that a path does not know.
    assert ({405} if edges else set()) == set(watched.strays)
    # Whatever takes a body or needs a parameter was refused as well; what takes neither never fails.
    spared = {name for name in each_operation if not watched.seen[name, "FAIL"]}
    assert {"getStatus", "listGroups", "listUsbDevices", "getRegistryDisk"} <= spared
    needs_nothing = {each["operationId"] for (method, _), each in operations(release).items() if method == "GET"}
    assert spared <= needs_nothing | {"updateNodes"}
    # Each of the shapes of an answer was seen.
    shapes = {(name, key) for name, each in each_operation.items() for key in shapes_by_query(each)}
    assert len(shapes) >= 10
    assert set() == {shape for shape in shapes if not watched.shapes[shape]}


# Proof that the checks bite.


def retold(exchange: Exchange, **changed: Any) -> Exchange:
    """The exchange with another envelope in its answer."""
    return replace(exchange, content=json.dumps({**exchange.envelope, **changed}).encode())


def always_ok(exchange: Exchange) -> Exchange:
    """FAIL turned into a bare OK."""
    if exchange.envelope["status"] == "OK":
        return exchange
    return replace(exchange, content=b'{"status":"OK","message":""}\n', status=200)


def always_refused(exchange: Exchange) -> Exchange:
    """Everything called invalid."""
    status = 400 if has(exchange.release, "1.20.0") else 200
    return replace(exchange, content=b'{"status":"FAIL","message":"invalid request: no"}', status=status)


def always_the_list(exchange: Exchange) -> Exchange:
    """The list in answer to an id."""
    body = exchange.envelope.get("body")
    return retold(exchange, body=[]) if isinstance(body, dict) and "id" in exchange.parameters else exchange


def always_one(exchange: Exchange) -> Exchange:
    """A single instance in place of the list."""
    body = exchange.envelope.get("body")
    return retold(exchange, body=body[0]["vm"]) if isinstance(body, list) else exchange


def with_a_null(exchange: Exchange) -> Exchange:
    """A key that is null where it should be left out."""
    body = exchange.envelope.get("body")
    return retold(exchange, body={**body, "message": None}) if isinstance(body, dict) else exchange


def with_a_body(exchange: Exchange) -> Exchange:
    """A body on an operation that has none."""
    return retold(exchange, body=None)


def of_the_other_release(exchange: Exchange) -> Exchange:
    """A failure with the HTTP status of the other release."""
    failed = exchange.envelope["status"] == "FAIL"
    return replace(exchange, status=600 - exchange.status if exchange.status == 200 else 200) if failed else exchange


def always_null(exchange: Exchange) -> Exchange:
    """A list that is null."""
    return retold(exchange, body=None) if isinstance(exchange.envelope.get("body"), list) else exchange


def always_whole(exchange: Exchange) -> Exchange:
    """The whole list whichever version is asked for."""
    body = exchange.envelope.get("body")
    if exchange.asked != "apiVer=v1" or not isinstance(body, list):
        return exchange
    return retold(exchange, body=[{**each, "size": 1, "arch": "arm64"} for each in body])


def with_status_503(exchange: Exchange) -> Exchange:
    """A probe that says no."""
    return replace(exchange, status=503)


PLANTS: list[tuple[str, Spoil, str]] = [
    ("startVms", always_ok, "envelope_goes_with_request"),
    ("updateVm", always_ok, "envelope_goes_with_request"),
    ("terminateVm", always_ok, "envelope_goes_with_request"),
    ("configureNode", always_ok, "envelope_goes_with_request"),
    ("addNodesToGroups", always_ok, "envelope_goes_with_request"),
    ("revertTemplate", always_ok, "envelope_goes_with_request"),
    ("deleteGroup", always_ok, "envelope_goes_with_request"),
    ("saveImage", always_refused, "envelope_goes_with_request"),
    ("createGroup", always_refused, "envelope_goes_with_request"),
    ("listUsbDevices", always_refused, "envelope_goes_with_request"),
    ("startVms", of_the_other_release, "envelope_goes_with_request"),
    ("listVms", always_the_list, "shape_goes_with_query"),
    ("listTemplates", always_the_list, "shape_goes_with_query"),
    ("listDistributions", always_the_list, "shape_goes_with_query"),
    ("listSaveImages", always_the_list, "shape_goes_with_query"),
    ("listVms", always_one, "shape_goes_with_query"),
    ("listVms", with_a_null, "response_schema_conformance"),
    ("createGroup", with_a_null, "response_schema_conformance"),
    ("terminateVm", with_a_body, "response_schema_conformance"),
    ("getStatus", with_a_null, "response_schema_conformance"),
]


PLANTS_OF_TODAY: list[tuple[str, Spoil, str]] = [
    ("restartVm", always_ok, "envelope_goes_with_request"),
    ("removeTemplateFromNodes", always_ok, "envelope_goes_with_request"),
    ("cancelDistribution", always_ok, "envelope_goes_with_request"),
    ("updateNodes", always_refused, "envelope_goes_with_request"),
    ("updateNodes", with_a_body, "response_schema_conformance"),
    ("listVlans", always_null, "response_schema_conformance"),
    ("getRegistryDisk", with_a_null, "response_schema_conformance"),
    ("listTemplates", always_whole, "shape_goes_with_query"),
    ("getReadyz", with_status_503, "envelope_goes_with_request"),
]

PLANTED = [
    *((OLD, *plant) for plant in PLANTS),
    *((release, *plant) for release in RELEASES[1:-1] for plant in PLANTS[RELEASES.index(release) :: 6]),
    *((NEW, *plant) for plant in [*PLANTS[::3], *PLANTS_OF_TODAY]),
]


@pytest.mark.parametrize(("release", "operation_id", "spoil", "check"), PLANTED)
def test_a_planted_fault_is_found(release: str, operation_id: str, spoil: Spoil, check: str) -> None:
    """A controller that answers wrongly, in one way each, is found out by the check that is there for it."""
    assert check in found_by_check(Watched(release, spoil=spoil), operation_id)


def told(method: str, path: str, content: str, query: str = "", sent: str = "", release: str = OLD) -> Exchange:
    status = 400 if '"FAIL"' in content and has(release, "1.20.0") else 200
    return Exchange(method, f"/api/v1/{path}", query, sent.encode(), status, content.encode(), release)


OK, INVALID, REFUSED = (
    '{"status":"OK","message":""}',
    '{"status":"FAIL","message":"invalid request: x"}',
    '{"status":"FAIL","message":"Not found"}',
)


@pytest.mark.parametrize(
    ("path", "sent", "valid"),
    [
        ("vm", '{"vmid":"x"}', True),
        ("vm", '{"VMID":"x","disk":{}}', True),
        ("vm", '{"vmid":"x","tag":null,"count":null,"name":""}', True),
        ("vm", '{"vmid":"x","count":39}', True),
        ("vm", '{"vmid":"x","count":39.0}', False),
        ("vm", '{"vmid":"x","count":true}', False),
        ("vm", '{"vmid":"x","count":0}', False),
        ("vm", '{"vmid":"x","vcpu":9223372036854775808}', False),
        ("vm", '{"vmid":"x","vcpu":NaN}', False),
        ("vm", '{"vmid":"x","metadata":{"a":1.0}}', False),
        ("vm", '{"vmid":"x","metadata":{"a":null}}', False),
        ("vm", '{"vmid":null}', False),
        ("vm", '{"vmid":""}', False),
        ("vm", "{}", False),
        ("vm", "[]", False),
        ("vm", "", False),
        ("vm", "{", False),
        ("image", '{"id":"x","new_template_name":"y","target_vm_id":""}', True),
        ("image", '{"id":"x","new_template_name":"","target_vm_id":""}', False),
    ],
)
@pytest.mark.parametrize("release", [OLD, NEW])
def test_the_check_reads_bodies_as_the_controller_does(release: str, path: str, sent: str, valid: bool) -> None:
    """Valid data may be taken or refused but not called invalid; invalid data may not be taken."""
    told_so = [told("POST", path, answer, sent=sent, release=release) for answer in (OK, INVALID, REFUSED)]
    wrong = [wrong_with_envelope(each) for each in told_so]

    assert [not valid, valid, False] == [each is not None for each in wrong]


@pytest.mark.parametrize(
    ("sent", "valid"),
    [
        ('"disk":{}', True),
        ('"disk":{"SIZE":"256G"}', True),
        ('"disk":{"size":"","skip_container_resize":null}', True),
        ('"disk":{"size":"256"}', False),
        ('"disk":{"size":"256G\\n"}', False),
        ('"disk":[]', False),
        ('"port_forwarding_override":[]', True),
        ('"port_forwarding_override":[{"NAME":"a","guest_port":"22","host_port":""}]', True),
        ('"port_forwarding_override":[{"name":"","guest_port":"22"}]', False),
        ('"port_forwarding_override":[{"name":"a","guest_port":"65536"}]', False),
        ('"csr_active_config":""', True),
        ('"csr_active_config":"forceOff"', False),
    ],
)
def test_the_check_knows_what_a_release_knows(sent: str, valid: bool) -> None:
    """What is newer than the release means nothing, whatever it is; a release that knows it has it read all through."""
    whole = f'{{"vmid":"x",{sent}}}'
    new = [wrong_with_envelope(told("POST", "vm", answer, sent=whole, release=NEW)) for answer in (OK, INVALID)]
    old = [wrong_with_envelope(told("POST", "vm", answer, sent=whole, release=OLD)) for answer in (OK, INVALID)]

    assert [not valid, valid] == [each is not None for each in new]
    assert [False, True] == [each is not None for each in old]


def test_the_check_lets_an_optional_body_be_absent() -> None:
    """A body that need not be there may be missing, and may not be wrong."""
    sent = ["", "{}", '{"node_ids":null}', '{"node_ids":"a"}', "["]
    wrong = [wrong_with_envelope(told("DELETE", "registry/vm/remove", OK, "id=x", each, NEW)) for each in sent]

    assert [False, False, False, True, True] == [each is not None for each in wrong]


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("", "otherwise"),
        ("id=x", "id"),
        ("id=", "otherwise"),
        ("apiVer=v1", "apiVer=v1"),
        ("apiVer=v2", "otherwise"),
        ("apiVer=v1&id=x", "id"),
        ("apiVer=v2&apiVer=v1", "otherwise"),
    ],
)
def test_the_check_knows_which_shape_is_asked_for(query: str, asked: str) -> None:
    """An id beats the version of the list, and a version counts only where the release knows it."""
    assert asked == told("GET", "registry/vm", OK, query, release=NEW).asked
    assert ("id" if asked == "id" else "otherwise") == told("GET", "registry/vm", OK, query).asked


@pytest.mark.parametrize(
    ("query", "valid"),
    [
        ("id=x", True),
        ("id=x&version=0", True),
        ("id=x&version=", True),
        ("id=x&version=1&version=x", True),
        ("", False),
        ("id=", False),
        ("id=&id=x", False),
        ("id=x&version=-1", False),
        ("id=x&version=1.0", False),
        ("id=x&number=x", False),
    ],
)
def test_the_check_reads_queries_as_the_controller_does(query: str, valid: bool) -> None:
    """Of several the first counts, an empty parameter is absent, a number is a whole number."""
    wrong = [wrong_with_envelope(told("DELETE", "registry/revert", answer, query)) for answer in (OK, INVALID, REFUSED)]

    assert [not valid, valid, False] == [each is not None for each in wrong]


# Links.


def live(watched: Watched) -> tuple[Counter[tuple[str, str]], set[str]]:
    """Let schemathesis follow links: which were followed and to what status, and the statuses they set out from."""
    followed: Counter[tuple[str, str]] = Counter()
    sources: set[str] = set()
    # By itself schemathesis never begins with what takes an id of something that, as it believes, nobody makes.
    with patch.object(stateful, "is_likely_root_transition", lambda operation, *_: operation.method == "post"):
        machine: Any = schema_for(watched, ["stateful"]).as_state_machine()

    class Life(machine):  # type: ignore[misc]
        def setup(self) -> None:
            watched.begin()

        def _get_target_for_result(self, result: Any) -> str | None:
            # At 1.8.0 a FAIL comes with 200 as well, and has no body for a link to take anything from.
            found: str | None = super()._get_target_for_result(result)
            return found if watched.last.envelope["status"] == "OK" else None

        def step(self, input: Any) -> Any:
            output = super().step(input)
            if input.is_applied:
                _, name, _ = input.transition.id.split(" -> ")
                followed[name.removeprefix("[200] "), watched.last.envelope["status"]] += 1
                sources.add(self.recorder.find_response(case_id=input.transition.parent_id).json()["status"])
            return output

    Life.run(
        settings=hypothesis.settings(
            max_examples=80,
            stateful_step_count=10,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
    )
    return followed, sources


@pytest.mark.parametrize("release", RELEASES)
def test_links_lead_from_answer_to_answer(release: str) -> None:
    """What a success names the next request finds: instances live, are renamed, saved and terminated, groups end."""
    followed, sources = live(Watched(release, step=25 * SECOND))
    links = {name for each in operations(release).values() for name in each["responses"]["200"].get("links", {})}

    assert links == {name for name, status in followed if status == "OK"}
    assert {"OK"} == sources


@pytest.mark.parametrize(
    ("spoil", "complaint"), [(always_the_list, "is not the shape"), (with_a_body, "violates schema")]
)
def test_a_fault_behind_a_link_is_found(spoil: Spoil, complaint: str) -> None:
    """The checks look at what links lead to as well."""

    def spoil_by_id(exchange: Exchange) -> Exchange:
        return spoil(exchange) if exchange.parameters.get("id") and exchange.envelope["status"] == "OK" else exchange

    with pytest.raises(FailureGroup) as caught:
        live(Watched(OLD, step=25 * SECOND, spoil=spoil_by_id))

    assert complaint in " ".join(str(failure) for failure in caught.value.exceptions).lower()
