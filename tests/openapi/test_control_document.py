"""The document of the control API, openapi/control.yaml, holds together and is true.

It is compared with the routes and with what they read, its examples are replayed, and schemathesis makes requests from
it. The one thing that is not sent is a stream of events, which the WSGI application does not know: the door has it.
"""

from __future__ import annotations

import ast
import asyncio
import io
import json
import pickle
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import pytest
import requests
import schemathesis
import yaml
from jsonschema import Draft202012Validator
from jsonschema.validators import extend
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from schemathesis.engine import events, from_schema
from werkzeug.test import EnvironBuilder, TestResponse
from werkzeug.wrappers import Response

import mockanka
from mockanka.control import INDEX_LINKS, MAX_BODY
from mockanka.control.clock import Advance, ClockChange, UntilInstance
from mockanka.control.instances import InstanceActionOptions
from mockanka.control.nodes import NodeOverrideOptions
from mockanka.control.state import Reset
from mockanka.core.faults import LIFECYCLE_FAULTS, NODE_OVERRIDES, OMITTABLE_FIELDS, REGISTRY_OVERRIDES, RESPONSE_FAULTS
from mockanka.core.lifecycle import InstanceState, NodeState
from mockanka.core.operations import OPERATION_METHODS
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.scenario import Options, Scenario, dump
from mockanka.scenario.base import StrictSchema
from mockanka.scenario.fault_rules import FaultActionSection, FaultMatchSection, FaultSection
from mockanka.server.asgi import Gateway
from mockanka.simulator.client_report import FINDING_KINDS
from mockanka.simulator.simulator import INSTANCE_ACTIONS, Simulator
from tests.server.asgi_client import send_request as ask

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "openapi" / "control.yaml"
BASE = "urn:mockanka:control"
JSON, PROBLEM, STREAM = "application/json", "application/problem+json", "text/event-stream"
METHODS = ("get", "put", "post", "delete", "patch", "trace")

# ---- the document --------------------------------------------------------------------------------------------------


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    return loaded


@cache
def registry() -> Registry[Any]:
    filled: Registry[Any] = Registry().with_resource(BASE, DRAFT202012.create_resource(document()))
    return filled


def settled(thing: Any) -> Any:
    """What stands behind a reference, if it is one."""
    return registry().resolver(BASE).lookup(thing["$ref"]).contents if "$ref" in thing else thing


def absolute(schema: Any) -> Any:
    """A schema that can be read outside of the document."""
    if isinstance(schema, dict):
        return {key: BASE + value if key == "$ref" else absolute(value) for key, value in schema.items()}
    return [absolute(each) for each in schema] if isinstance(schema, list) else schema


def _is_whole(_: object, value: object) -> bool:
    """Whether it is written as a whole number: 5.0 is not."""
    return isinstance(value, int) and not isinstance(value, bool)


Exact = extend(Draft202012Validator, type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_whole))


@cache
def validator(schema: str) -> Any:
    return Exact(absolute(json.loads(schema)), registry=registry(), format_checker=Exact.FORMAT_CHECKER)


def errors(schema: Any, value: Any) -> list[str]:
    found = validator(json.dumps(schema)).iter_errors(value)
    return [f"{error.json_path}: {error.message[:300]}" for error in found]


def named(name: str) -> Any:
    return document()["components"]["schemas"][name]


class Operation(NamedTuple):
    method: str
    path: str
    text: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.text["operationId"])

    @property
    def parameters(self) -> list[dict[str, Any]]:
        return [settled(each) for each in self.text.get("parameters", [])]

    @property
    def answers(self) -> dict[int, dict[str, Any]]:
        return {int(status): settled(each) for status, each in self.text["responses"].items()}

    @property
    def success(self) -> int:
        return min(self.answers)

    @property
    def takes(self) -> dict[str, Any]:
        """What it takes by content type."""
        found: dict[str, Any] = self.text.get("requestBody", {}).get("content", {})
        return found

    def meant(self, path: str) -> bool:
        return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", self.path), path) is not None


OPERATIONS = [
    Operation(method.upper(), path, item[method])
    for path, item in document()["paths"].items()
    for method in METHODS
    if method in item
]
BY_ID = {each.id: each for each in OPERATIONS}


def operation_at(method: str, path: str) -> Operation | None:
    return next((each for each in OPERATIONS if each.method == method and each.meant(path)), None)


def examples(holder: dict[str, Any]) -> dict[str, Any]:
    return {name: each["value"] for name, each in holder.get("examples", {}).items()}


def all_examples() -> Iterator[tuple[str, Any, Any]]:
    """A readable id, the schema and the value of every example."""
    for each in OPERATIONS:
        holders = [(f"{each.id}-{parameter['name']}", parameter) for parameter in each.parameters]
        holders += [(f"{each.id}-{kind}", media) for kind, media in each.takes.items()]
        for status, answer in each.answers.items():
            holders += [(f"{each.id}-{status}-{kind}", media) for kind, media in answer["content"].items()]
        for label, holder in holders:
            for name, value in examples(holder).items():
                yield f"{label}-{name}", holder["schema"], value
    for name, schema in document()["components"]["schemas"].items():
        for number, value in enumerate(schema.get("examples", [])):
            yield f"{name}-{number}", {"$ref": f"#/components/schemas/{name}"}, value


EXAMPLES = list(all_examples())

# ---- the world in which its examples are true -----------------------------------------------------------------------

FIRST, SECOND = "9fd8ce95-67c1-488f-499f-20b0e1ef66b3", "0832932c-b6c6-455b-7e26-9284207831b6"
"""The instances that the client starts."""


class World:
    """A control API over a world in which this and that has happened; each request finds it as it was at first."""

    def __init__(self, release: Release = DEFAULT_RELEASE) -> None:
        door = Gateway(Simulator(Scenario.named("default"), Options(clock="manual", release=release)))
        self.house, self.app = door.simulator, door.control_app
        asyncio.run(_live(door))
        watch = {key: value for key, value in vars(self.house.client_monitor).items() if key != "controller"}
        self._began = self.house.scenario, self.house.options
        self._saved = pickle.dumps((self.house.controller, self.house.journal, watch))

    def begin(self) -> None:
        controller, journal, watch = pickle.loads(self._saved)
        self.house.scenario, self.house.options = self._began
        self.house.controller.replace_with(controller)
        self.house.journal = journal
        vars(self.house.client_monitor).update(watch)

    def state(self) -> Any:
        """Everything that a refusal must leave as it was."""
        house = self.house
        written = dump(house.controller), [each.as_json() for each in house.journal], house.journal.count
        return *written, house.report().as_json(), house.scenario, house.options, house.controller.log.count

    def ask(self, method: str, path: str, body: object = None, **more: Any) -> TestResponse:
        data = json.dumps(body) if isinstance(body, dict | list) else body
        return self.app.test_client().open(path, method=method, data=data, **more)


async def _live(door: Gateway) -> None:
    """What happens in the world before its first request."""
    rule = {
        "id": "flaky-pull",
        "match": {"event": "pull", "template": "13.6-arm64"},
        "do": {"fail": "no space left on device", "at": "40%"},
        "probability": 0.1,
    }
    first, second = door.simulator.controller.templates
    await ask(door, "POST", "/_mock/faults", rule)
    tagged = {"vmid": first, "tag": "xcode-15", "name": "build-7", "external_id": "job-7"}
    await ask(door, "POST", "/api/v1/vm", tagged)
    await ask(door, "POST", "/_mock/clock/advance", {"by": "30s"})
    await ask(door, "GET", "/api/v1/vm?id=nobody")
    await ask(door, "POST", "/api/v1/vm", {"vmid": second, "name": "build-8", "external_id": "job-8"})
    assert [FIRST, SECOND] == list(door.simulator.controller.instances)[1:]


@cache
def _world(release: Release = DEFAULT_RELEASE) -> World:
    return World(release)


@pytest.fixture
def world() -> World:
    _world().begin()
    return _world()


def by_no_clock(value: Any) -> Any:
    """The same without what the wall's clock says."""
    if isinstance(value, dict):
        return {key: by_no_clock(each) for key, each in value.items() if key not in ("wall", "seconds")}
    return [by_no_clock(each) for each in value] if isinstance(value, list) else value


# ---- the document holds together ------------------------------------------------------------------------------------


def test_the_document_is_valid_openapi() -> None:
    """The document is valid OpenAPI 3.1."""
    OpenAPIV31SpecValidator(document()).validate()

    assert document()["openapi"].startswith("3.1.")


def test_the_document_speaks_for_this_version() -> None:
    """The version of the document is that of the package."""
    assert mockanka.__version__ == document()["info"]["version"]


@pytest.mark.parametrize("each", OPERATIONS, ids=BY_ID)
def test_an_operation_is_told_in_words(each: Operation) -> None:
    """Every operation has a tag that is there, a summary and a description, and so has every parameter."""
    tags = {tag["name"] for tag in document()["tags"]}

    assert set(each.text["tags"]) <= tags
    assert each.text["summary"]
    assert each.text["description"].endswith(".")
    assert all(one["description"] and one["schema"] for one in each.parameters)
    assert re.findall(r"\{(\w+)\}", each.path) == [one["name"] for one in each.parameters if one["in"] == "path"]


def test_every_component_is_used() -> None:
    """Nothing is described that nothing refers to."""
    text = DOCUMENT.read_text("utf-8")
    parts = [f"#/components/{kind}/{name}" for kind, each in document()["components"].items() for name in each]

    assert [] == [part for part in parts if f"$ref: '{part}'" not in text]


@pytest.mark.parametrize(("schema", "value"), [each[1:] for each in EXAMPLES], ids=[each[0] for each in EXAMPLES])
def test_an_example_fits_its_schema(schema: Any, value: Any) -> None:
    """Every example of a request, an answer, a parameter or a schema validates."""
    assert [] == errors(schema, value)


@pytest.mark.parametrize("each", OPERATIONS, ids=BY_ID)
def test_an_operation_has_examples(each: Operation) -> None:
    """Every body and every answer has an example, but for a whole state, which is long."""
    bodies = list(each.takes.values())
    bodies += [media for answer in each.answers.values() for media in answer["content"].values()]
    bare = [body for body in bodies if not examples(body)]

    assert [] == bare or each.id == "showScenario"


# ---- the document and the code ---------------------------------------------------------------------------------------


def test_the_operations_are_the_routes(world: World) -> None:
    """Every route is described, and nothing else; /_mock is /_mock/ without its slash."""
    routes = {
        (method, re.sub("<[^>]+>", "{}", rule.rule))
        for rule in world.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert routes - {("GET", "/_mock")} == {(each.method, re.sub(r"\{\w+\}", "{}", each.path)) for each in OPERATIONS}


def test_the_paths_are_those_of_the_links() -> None:
    """Every link is described and leads to a path of the document, with the same names in braces."""
    described = named("Links")["properties"]

    assert {key: each["const"] for key, each in described.items()} == INDEX_LINKS
    assert set(INDEX_LINKS) == set(named("Links")["required"])
    assert set(INDEX_LINKS.values()) | {"/_mock/", "/_mock/faults/{id}"} == set(document()["paths"])
    assert all(each["description"] for each in described.values())


@pytest.mark.parametrize(
    ("of", "names"),
    [
        (ClockChange, ["ClockChange"]),
        (Advance, ["Advance"]),
        (UntilInstance, ["UntilInstance"]),
        (Reset, ["Reset"]),
        (InstanceActionOptions, ["Fate"]),
        (NodeOverrideOptions, ["Turn"]),
        (FaultSection.layout().schema_class, ["FaultRule"]),
        (FaultMatchSection.layout().schema_class, ["MatchAtTheDoor", "MatchInLife"]),
        (FaultActionSection.layout().schema_class, ["FaultDo"]),
    ],
)
def test_the_keys_are_those_that_are_read(of: type[StrictSchema], names: list[str]) -> None:
    """Every key that the code reads is described with words of its own, and no other; other keys are refused."""
    schemas = [named(name) for name in names]
    read = {field.data_key or name: field for name, field in of().fields.items()}
    described = {key: each for schema in schemas for key, each in schema["properties"].items()}
    required = {key for key, field in read.items() if field.required}

    assert set(read) == set(described)
    assert [False] * len(names) == [schema["additionalProperties"] for schema in schemas]
    assert all("description" in each or "description" in settled(each) for each in described.values())
    assert required == set(schemas[0].get("required", []))


def test_the_words_are_those_that_are_known() -> None:
    """Where one of a few words is meant, the document names exactly those that the code knows."""
    do, match = named("FaultDo")["properties"], named("MatchInLife")["properties"]
    fate = next(each for each in BY_ID["strikeInstance"].parameters if each["name"] == "fate")

    assert [state.value for state in InstanceState] == named("EverState")["enum"]
    assert [state.value for state in InstanceState if state is not InstanceState.GONE] == named("InstanceState")["enum"]
    assert {state.value for state in NodeState} == set(named("TurnedNode")["properties"]["state"]["enum"])
    assert list(NODE_OVERRIDES) == named("NodeTurn")["enum"]
    assert list(REGISTRY_OVERRIDES) == do["registry"]["enum"]
    assert list(OMITTABLE_FIELDS) == named("Unreported")["enum"]
    assert list(LIFECYCLE_FAULTS) == match["event"]["enum"]
    assert list(OPERATION_METHODS) == named("MatchAtTheDoor")["properties"]["method"]["enum"]
    assert list(INSTANCE_ACTIONS) == fate["schema"]["enum"]
    assert list(FINDING_KINDS) == named("Finding")["properties"]["kind"]["enum"]


def kinds_in(schema: dict[str, Any]) -> dict[str, frozenset[str]]:
    """What may be done, and what may go with it, as the core writes it."""
    named = ((each["required"][0], each["propertyNames"]["enum"]) for each in schema["anyOf"])
    return {kind: frozenset(keys) - {kind} for kind, keys in named}


def test_what_goes_together_in_a_rule_is_what_the_core_says() -> None:
    """The document lets a rule do what the core lets it do, by where it strikes."""
    at_the_door, in_life = named("FaultRule")["anyOf"]
    described = [settled(each)["properties"] for each in in_life["anyOf"]]
    found = {each["match"]["properties"]["event"]["const"]: kinds_in(each["do"]) for each in described}

    assert kinds_in(settled(at_the_door["properties"]["do"])) == RESPONSE_FAULTS
    assert found == LIFECYCLE_FAULTS


def happenings() -> set[str]:
    """Every kind of event that stands in the code."""
    found = set()
    for path in (ROOT / "mockanka").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "record":
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}: the kind is not written out"
                found.add(str(node.args[0].value))
    return found


def test_the_events_are_those_that_happen() -> None:
    """Every kind of event that the code notes is described, and no other."""
    assert happenings() == set(named("Event")["properties"]["event"]["enum"])


# ---- the examples are true -------------------------------------------------------------------------------------------


def told(each: Operation) -> Iterator[tuple[str, str, str, Any]]:
    """Each example of an operation as it can be sent: a name, a content type, a target, and a body."""
    bodies = [(kind, name, value) for kind, media in each.takes.items() for name, value in examples(media).items()]
    of_answers = examples(each.answers[each.success]["content"].get(JSON, {}))
    for kind, name, value in bodies or [(JSON, name, None) for name in of_answers or ["all"]]:
        target, query = each.path, {}
        for parameter in each.parameters:
            given = examples(parameter)
            if parameter["in"] == "path":
                target = target.replace(f"{{{parameter['name']}}}", str(given.get(name) or next(iter(given.values()))))
            if parameter["in"] == "query" and name in given:
                query[parameter["name"]] = given[name]
        text = "&".join(f"{key}={value}" for key, value in query.items())
        yield name, kind, f"{target}?{text}" if text else target, value


TOLD = {
    f"{each.id}-{kind}-{name}": (each, name, kind, target, value)
    for each in OPERATIONS
    for name, kind, target, value in told(each)
}


@pytest.mark.parametrize(("each", "name", "kind", "target", "body"), TOLD.values(), ids=TOLD)
def test_an_example_is_what_happens(
    world: World, each: Operation, name: str, kind: str, target: str, body: object
) -> None:
    """What the document says that a request is answered with it is answered with, in the world the examples are of."""
    data = body if body is None or kind == JSON else yaml.safe_dump(body)
    answer = world.ask(each.method, target, data, content_type=kind)
    media = each.answers[each.success]["content"][JSON]
    given = examples(media)

    assert each.success == answer.status_code
    assert [] == errors(media["schema"], answer.get_json())
    if given:
        assert by_no_clock(given[name] if len(given) > 1 else next(iter(given.values()))) == by_no_clock(answer.json)


REFUSED: list[tuple[str, int, str, str, object]] = [
    ("changeClock", 400, "misspelt", "clock", {"spd": 1}),
    ("advanceClock", 400, "backwards", "clock/advance", {"by": "-5s"}),
    ("advanceClock", 404, "nobody", "clock/advance", {"until": {"instance": "nobody", "state": "Started"}}),
    ("advanceClock", 409, "never", "clock/advance", {"until": {"instance": FIRST, "state": "Pulling"}}),
    ("reset", 400, "misspelt", "reset", {"scenario": "defualt"}),
    ("reset", 400, "fraction", "reset", {"seed": 1.5}),
    ("loadScenario", 400, "misspelt", "scenario", {"nods": []}),
    ("loadScenario", 400, "empty", "scenario", ""),
    ("listRequests", 400, "misspelt", "requests?metod=GET", None),
    ("listRequests", 400, "word", "requests?status=OK", None),
    ("listEvents", 400, "misspelt", "events?sinse=3", None),
    ("listEvents", 400, "word", "events?since=yesterday", None),
    ("addFaults", 400, "nowhere", "faults", {"match": {"event": "pull", "node": "mini-1"}, "do": {"fail": "no"}}),
    ("addFaults", 400, "idle", "faults", {"match": {"path": "/api/v1/vm"}}),
    ("removeFault", 404, "misspelt", "faults/flaky-pul", None),
    ("turnNode", 400, "misspelt", "nodes/mini-01/offline", {"atonce": True}),
    ("turnNode", 404, "nowhere", "nodes/mini-1/offline", None),
    ("turnNode", 404, "misspelt", "nodes/mini-01/of-line", None),
    ("turnNode", 409, "drain", "nodes/mini-01/drain", None),
    ("showInstance", 404, "nobody", "instances/nobody", None),
    ("strikeInstance", 400, "misspelt", f"instances/{FIRST}/fail", {"mesage": "x"}),
    ("strikeInstance", 404, "nobody", "instances/nobody/fail", None),
    ("strikeInstance", 404, "misspelt", f"instances/{FIRST}/vansh", None),
    ("strikeInstance", 409, "early", f"instances/{SECOND}/stop", None),
]
"""The request behind each example of a refusal."""

BEFORE = {("turnNode", "drain"): Release(1, 31, 0)}
"""The release of those that a later one does not refuse."""


@pytest.mark.parametrize(
    ("operation", "status", "name", "target", "body"), REFUSED, ids=[f"{each[0]}-{each[2]}" for each in REFUSED]
)
def test_a_refusal_is_as_described(
    world: World, operation: str, status: int, name: str, target: str, body: object
) -> None:
    """A refusal is word for word that of the document, and it changes nothing."""
    if (operation, name) in BEFORE:
        world = _world(BEFORE[operation, name])
        world.begin()
    before = world.state()
    answer = world.ask(BY_ID[operation].method, f"/_mock/{target}", body, content_type=JSON)

    assert (status, PROBLEM) == (answer.status_code, answer.content_type)
    assert examples(BY_ID[operation].answers[status]["content"][PROBLEM])[name] == answer.get_json(force=True)
    assert before == world.state()


TAKERS = [each for each in OPERATIONS if each.takes]


@pytest.mark.parametrize("each", TAKERS, ids=[each.id for each in TAKERS])
def test_a_body_that_is_too_long_is_refused(world: World, each: Operation) -> None:
    """Every operation that takes a body refuses one that is too long, as described, and changes nothing."""
    before = world.state()
    target = next(target for _, _, target, _ in told(each))
    environ = {**EnvironBuilder(target, method=each.method).get_environ(), "CONTENT_LENGTH": str(MAX_BODY + 1)}
    answer = Response.from_app(world.app, environ, buffered=True)
    (example,) = examples(each.answers[413]["content"][PROBLEM]).values()

    assert {**example, "title": HTTPStatus(413).phrase} == json.loads(answer.data)
    assert 413 == answer.status_code
    assert before == world.state()


def test_every_refusal_is_shown() -> None:
    """Every example of a refusal has its request in these tests, and every body may be too long."""
    shown = {
        (each.id, status, name)
        for each in OPERATIONS
        for status, answer in each.answers.items()
        for name in examples(answer["content"].get(PROBLEM, {}))
    }

    assert {each[:3] for each in REFUSED} | {(each.id, 413, "large") for each in TAKERS} == shown


@pytest.mark.parametrize("path", document()["paths"])
def test_other_methods_are_refused(world: World, path: str) -> None:
    """A method that a path does not take is answered with a problem and those it takes."""
    target = re.sub(r"\{\w+\}", "x", path)
    taken = {each.method for each in OPERATIONS if each.path == path}
    silent = {"HEAD"} if "GET" in taken else set()
    for method in {each.upper() for each in METHODS} - taken:
        answer = world.ask(method, target)

        assert (405, PROBLEM) == (answer.status_code, answer.content_type)
        assert [] == errors(named("Problem"), answer.get_json(force=True))
        assert taken | silent | {"OPTIONS"} == set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize("path", ["/_mock/nothing", "/_mock/clock/", "/_mock/nodes/mini-01", "/_mock/faults/a/b"])
def test_other_paths_are_refused(world: World, path: str) -> None:
    """A path that is not there is answered with a problem."""
    answer = world.ask("POST", path)

    assert (404, PROBLEM) == (answer.status_code, answer.content_type)
    assert [] == errors(named("Problem"), answer.get_json(force=True))


@pytest.mark.parametrize("kind", BY_ID["showScenario"].answers[200]["content"])
def test_the_scenario_comes_in_every_kind(world: World, kind: str) -> None:
    """Each content type of the state that the document names can be had."""
    answer = world.ask("GET", "/_mock/scenario", headers={"Accept": kind})

    assert (200, kind) == (answer.status_code, answer.content_type)
    assert dump(world.house.controller) == yaml.safe_load(answer.text)


def test_a_stream_of_events_is_as_described() -> None:
    """The door answers with a comment, and a frame for each event after the one that was named."""
    shown = examples(BY_ID["listEvents"].answers[200]["content"][STREAM])["stream"]
    sent: list[Any] = []
    door = Gateway(Simulator(Scenario.named("default"), Options(clock="manual")))

    async def listen() -> None:
        await _live(door)
        scope = {"type": "http", "method": "GET", "path": "/_mock/events", "query_string": b"since=4"}
        headers = [(b"accept", STREAM.encode())]
        written = asyncio.Event()

        async def send(message: Any) -> None:
            sent.append(message)
            if message.get("body"):
                written.set()

        never = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(door({**scope, "headers": headers}, lambda: never, send))
        await asyncio.wait_for(written.wait(), 5)
        door.close()
        await asyncio.wait_for(task, 5)

    asyncio.run(listen())

    assert (b"content-type", STREAM.encode()) in sent[0]["headers"]
    assert shown == b"".join(each["body"] for each in sent[1:]).decode()


# ---- schemathesis ----------------------------------------------------------------------------------------------------

UNSAID = (
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
    "only the answer to a GET can be repeated",  # of a path that has one
)
"""Why a rule or a length that the document allows may be refused all the same: its words say so, no schema can."""


PHASES = ("examples", "coverage", "fuzzing")


class Watched:
    """The world's control API, in which each request finds the world as it was, and every exchange is looked at."""

    def __init__(self) -> None:
        self.world = World()
        self.before = self.world.state()
        self.seen: Counter[tuple[str, int]] = Counter()
        self.wrong: dict[str, str] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.world.begin()
        sent = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(sent)
        answer = Response.from_app(self.world.app, environ, buffered=True)
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        each = operation_at(method, path)
        label = each.id if each else f"{method} {path}"
        self.seen[label if each else "stray", answer.status_code] += 1
        for wrong in self._complaints(each, environ, sent, answer):
            kind = re.sub(r"[0-9a-f-]{36}", "ID", f"{label}: {wrong[0]}")
            self.wrong.setdefault(kind, f"{kind}: {wrong[1]}: {environ['QUERY_STRING']} {sent[:300]!r}")
        return answer(environ, start_response)

    def _complaints(
        self, each: Operation | None, environ: dict[str, Any], sent: bytes, answer: Response
    ) -> Iterator[tuple[str, str]]:
        status, text = answer.status_code, answer.get_data(as_text=True)
        if status >= 400 and self.before != self.world.state():
            yield "a refusal changed something", text
        if each is None:
            return
        if status >= 500 or status not in each.answers:
            yield f"status {status} is not described", text
            return
        if not valid_json(text):
            yield "the answer is no JSON", text
            return
        kind = answer.content_type
        wrong = errors(each.answers[status]["content"][kind]["schema"], json.loads(text))
        if wrong:
            yield "the answer is not as described", str(wrong[:1])
        told = wrong_with_query(each, environ["QUERY_STRING"]) or wrong_with_body(each, sent)
        if told and status < 400:
            yield "takes what the document forbids", told
        if not told and status == 400 and not self._excused(each, json.loads(text)["detail"]):
            yield "refuses what the document allows", text

    @staticmethod
    def _excused(each: Operation, detail: str) -> bool:
        # What a scenario may be is for another schema to say.
        of_scenario = each.id in ("reset", "loadScenario")
        return of_scenario or any(words in detail for words in UNSAID)


def valid_json(text: str) -> bool:
    """Whether it is JSON by the letter, which knows no NaN."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


def wrong_with_query(each: Operation, query: str) -> str | None:
    """Why the query is none that the document allows; of several parameters of one name the first counts."""
    given: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        given.setdefault(name, value)
    known = {one["name"]: settled(one["schema"]) for one in each.parameters if one["in"] == "query"}
    for name, text in given.items() if known else ():
        if name not in known:
            return f"there is no parameter {name}"
        whole = known[name]["type"] == "integer" and re.fullmatch("[0-9]+", text)
        if wrong := errors(known[name], int(text) if whole else text):
            return f"{name}: {wrong[0]}"
    return None


def wrong_with_body(each: Operation, sent: bytes) -> str | None:
    """Why the body is none that the document allows, taken by its word or, for numbers in texts, by its meaning."""
    media = each.takes.get(JSON)
    if media is None or each.id == "loadScenario":  # which is YAML, unless it says otherwise
        return None
    if not sent.strip():
        return "there is no body" if each.text["requestBody"]["required"] else None
    try:
        data = json.loads(sent)
    except (ValueError, RecursionError):
        return "the body is no JSON"
    wrong = errors(media["schema"], data)
    return wrong[0] if wrong and errors(media["schema"], meant(data)) else None


NUMBERS = ("speed", "seed", "skip", "times", "probability", "seen", "fired", "status", "exit", "lognormal")
SWITCHES = ("at_once", "acts", "stale", "stall", "timeout", "stop", "vanish", "ignore")


def meant(value: Any, key: str = "") -> Any:
    """A body in which texts that stand for numbers and switches are those."""
    if isinstance(value, dict):
        return {each: meant(below, each) for each, below in value.items()}
    if isinstance(value, list):
        return [meant(each, key) for each in value]
    if isinstance(value, str) and key in SWITCHES:
        return {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}.get(value.lower())
    if isinstance(value, str) and key in NUMBERS:
        try:
            return json.loads(value)
        except ValueError:
            pass
    return value.strip() if isinstance(value, str) else value


def findings(watched: Watched, phases: Iterable[str] = PHASES, examples: int = 15, **chosen: Any) -> Iterator[str]:
    """What schemathesis finds in some phases and operations."""
    settings = {name: {"enabled": name in phases} for name in (*PHASES, "stateful")}
    spared = ("positive_data_acceptance", "negative_data_rejection")  # the watched application looks closer
    config = schemathesis.Config.from_dict(
        {
            "seed": 20,
            "checks": {name: {"enabled": False} for name in spared},
            "phases": settings,
            "continue-on-failure": True,
            "generation": {"max-examples": examples, "deterministic": True, "database": "none"},
        }
    )
    schema = schemathesis.openapi.from_path(DOCUMENT, config=config)
    schema.app = watched
    for event in from_schema(schema.include(**chosen)).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            yield f"error: {event!r}"
        if isinstance(event, events.ScenarioFinished):
            for checks in event.recorder.checks.values():
                for each in checks:
                    if each.failure_info is not None:
                        failure = each.failure_info.failure
                        yield f"{event.recorder.label}: {each.name}: {failure.title}: {failure.message}"[:600]


OTHERS = sorted(set(BY_ID) - {"addFaults"})


def test_every_operation_keeps_to_the_document() -> None:
    """Examples, edge cases and random requests: answers conform, nothing breaks, and a refusal changes nothing."""
    watched = Watched()

    assert [] == sorted(set(findings(watched, operation_id=OTHERS)))
    assert [] == list(watched.wrong.values())
    assert [] == [name for name in OTHERS if not watched.seen[name, BY_ID[name].success]]
    # Whatever can be refused was.
    refused = {name for name, status in watched.seen if status >= 400}
    assert {name for name in OTHERS if set(BY_ID[name].answers) & {400, 404}} <= refused


def test_adding_faults_keeps_to_the_document() -> None:
    """The same for fault rules, of which the edge cases are too many to be sent: the tests of pairs go through them."""
    watched = Watched()

    assert [] == sorted(set(findings(watched, ["examples", "fuzzing"], 50, operation_id="addFaults")))
    assert [] == list(watched.wrong.values())
    assert {201, 400} == {status for name, status in watched.seen if name == "addFaults"}


# ---- fault rules, key by key -----------------------------------------------------------------------------------------

DO: dict[str, object] = {
    "delay": {"uniform": ["0s", "1m30s"]},
    "status": 503,
    "body": {"a": [1, None]},
    "content_type": "text/html",
    "refuse": "1s",
    "connection": "reset",
    "cut": 40,
    "dribble": "1s",
    "stale": True,
    "acts": False,
    "fail": "no",
    "at": "40%",
    "after": "1s",
    "for": "1s",
    "stall": True,
    "bandwidth": "1Mbit/s",
    "without": "ip",
    "exit": 3,
    "timeout": True,
    "stdout": "x",
    "stderr": "x",
    "stop": True,
    "vanish": True,
    "ignore": True,
    "node": "offline",
    "registry": "down",
    "license": "expired",
}
"""Something to do for each key."""

MATCH: dict[str, object] = {
    "method": "GET",
    "path": "/api/v1/*",
    "query": {"id": "x"},
    "body": {"a": 1},
    "instance": "x",
    "name": "x",
    "external_id": "x",
    "template": "14.5-arm64",
    "tag": "vanilla",
    "node": "mini-01",
    "group": "ios",
}
"""Something to match for each key but the event."""

PLACES: dict[str | None, dict[str, frozenset[str]]] = {None: RESPONSE_FAULTS}
PLACES.update(LIFECYCLE_FAULTS)


def told_apart(world: World, rule: dict[str, Any]) -> str | None:
    """Whether the document and the mock disagree about a rule, and how."""
    wrong = errors(named("FaultRule"), rule)
    answer = world.ask("POST", "/_mock/faults", rule)
    world.ask("DELETE", "/_mock/faults")
    if answer.status_code == 201:
        odd = errors(named("FaultInForce"), answer.json)
        return f"{rule}: taken, though {wrong}" if wrong else f"{rule}: answered with {odd}" if odd else None
    return None if wrong else f"{rule}: {answer.text}"


def match_at(event: str | None) -> dict[str, object]:
    return {} if event is None else {"event": event}


@pytest.mark.parametrize("event", PLACES)
def test_what_may_be_done_is_what_the_document_says(world: World, event: str | None) -> None:
    """Of all pairs of keys the mock takes those that the document allows, and all that go with one key together."""
    assert set(DO) == set(named("FaultDo")["properties"])
    told = [told_apart(world, {"match": match_at(event), "do": {key: value}}) for key, value in DO.items()]
    for kind, goes in PLACES[event].items():
        sets = [{kind, other} for other in DO] + [{kind} | goes]
        told += [
            told_apart(world, {"match": match_at(event), "do": {key: DO[key] for key in DO if key in keys}})
            for keys in sets
        ]

    assert [] == [each for each in told if each]


@pytest.mark.parametrize("event", PLACES)
def test_what_may_be_matched_is_what_the_document_says(world: World, event: str | None) -> None:
    """At each place the mock takes the keys of a match that the document allows there."""
    assert {*MATCH, "event"} == {
        *named("MatchAtTheDoor")["properties"],
        *named("MatchInLife")["properties"],
    }
    told = [
        told_apart(world, {"match": {**match_at(event), key: value}, "do": {kind: DO[kind]}})
        for kind in PLACES[event]
        for key, value in MATCH.items()
    ]

    assert [] == [each for each in told if each]


# ---- answers after a life --------------------------------------------------------------------------------------------


def wrong_answers(ask_for: Any) -> list[str]:
    """What is not as described in everything that there is to read; ``ask_for`` gives the text at a path."""
    targets = [each.path for each in OPERATIONS if each.method == "GET" and "{" not in each.path]
    subjects = {each["subject"] for each in json.loads(ask_for("/_mock/events"))["events"]}
    found = []
    for target in [*targets, *(f"/_mock/instances/{subject}" for subject in sorted(subjects))]:
        each = operation_at("GET", target)
        assert each is not None
        text = ask_for(target)
        status = 200 if "detail" not in json.loads(text) else 404
        kind = JSON if status == 200 else PROBLEM
        found += [
            f"{target}: {wrong}" for wrong in errors(each.answers[status]["content"][kind]["schema"], json.loads(text))
        ]
    return found


SCRIPT = "IyEvYmluL3NoCmV4aXQgMAo="


@pytest.mark.parametrize("event", LIFECYCLE_FAULTS)
def test_what_can_be_read_after_a_fault_is_as_described(event: str) -> None:
    """Events, stories, journal, report and state conform to the document, whatever strikes in life."""
    found = {kind: wrong for kind, goes in LIFECYCLE_FAULTS[event].items() if (wrong := wrong_after(event, kind, goes))}

    assert {} == found


def wrong_after(event: str, kind: str, goes: Iterable[str]) -> list[str]:
    """What is not as described after a life in which a fault has struck."""
    door = Gateway(Simulator(Scenario.named("default"), Options(clock="manual", release=Release(1, 24, 0))))
    controller = door.simulator.controller

    async def live() -> None:
        rule = {"match": {"event": event}, "do": {key: DO[key] for key in (kind, *goes)}}
        first, second = controller.templates
        scripted = {"startup_script": SCRIPT, "script_monitoring": True}
        assert 201 == (await ask(door, "POST", "/_mock/faults", rule)).status
        await ask(door, "POST", "/api/v1/vm", {"vmid": first, "count": 2, **scripted})
        await ask(door, "POST", "/api/v1/vm", {"vmid": second, "external_id": "job-1"})
        await ask(door, "POST", "/api/v1/registry/vm/distribute", {"template_id": second})
        for _ in range(3):
            running = list(controller.instances)
            await ask(door, "POST", "/_mock/clock/advance", {"by": "100s"})
            await ask(door, "POST", "/api/v1/image", {"id": running[0], "new_template_name": "saved"})
            await ask(door, "DELETE", "/api/v1/vm", {"id": running[-1]})
            await ask(door, "GET", "/api/v1/vm?id=nobody")

    asyncio.run(live())
    client = door.control_app.test_client()
    return wrong_answers(lambda target: client.get(target).text)


BREAKS: list[dict[str, object]] = [
    {"status": 503, "body": "no"},
    {"fail": "no", "acts": True},
    {"connection": "close"},
    {"connection": "reset", "at": "20%"},
    {"cut": "40%"},
    {"stale": True},
    {"refuse": "1ms"},
]


def test_what_can_be_read_after_broken_answers_is_as_described() -> None:
    """The journal of a real server conforms, whatever became of the answers, and knows every outcome but one."""
    with mockanka.serve("default", clock="manual") as anka:
        body = {"vmid": next(iter(anka._simulator.controller.templates)), "name": "x" * 70_000}
        for do in BREAKS:
            anka.faults.add(match={"path": "/api/v1/vm"}, do=do, times=1)
            for method in ("POST", "GET"):
                with suppress(requests.RequestException):
                    requests.request(method, f"{anka.url}/api/v1/vm", json=body, timeout=5)
            if "refuse" in do:
                time.sleep(0.1)
        found = wrong_answers(lambda target: requests.get(anka.url + target, timeout=5).text)
        outcomes = {
            entry["outcome"] for entry in requests.get(f"{anka.url}/_mock/requests", timeout=5).json()["requests"]
        }

    assert [] == found
    assert outcomes | {"client left"} == set(named("JournalEntry")["properties"]["outcome"]["enum"])


# ---- found on the way ------------------------------------------------------------------------------------------------


def test_a_fault_in_life_is_an_event_of_its_own_kind(world: World) -> None:
    """A fault that strikes in life stands among the events as a fault, as one at the door does."""
    world.ask("POST", "/_mock/faults", {"id": "down", "match": {"event": "begin"}, "do": {"registry": "down"}})
    shown = world.ask("GET", "/_mock/events").get_json()["events"]

    assert ["fault"] == [each["event"] for each in shown if each["subject"] == "down"]


def test_a_wait_in_vain_changes_nothing(world: World) -> None:
    """A wait that is refused with 409 leaves the time as it was, as a refused wait for idle does."""
    world.ask("POST", f"/_mock/instances/{FIRST}/stop")
    before = world.state()
    answer = world.ask("POST", "/_mock/clock/advance", {"until": {"instance": FIRST, "state": "Error"}})

    assert 409 == answer.status_code
    assert before == world.state()


ENDLESS = "9" * 1_000_001


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("clock/advance", {"by": f"{ENDLESS}h"}),
        ("faults", {"do": {"cut": f"{ENDLESS}TB"}}),
        ("faults", {"match": {"event": "pull"}, "do": {"bandwidth": f"{ENDLESS}Gbit/s"}}),
    ],
)
def test_a_number_without_end_is_refused(world: World, target: str, body: dict[str, object]) -> None:
    """An amount of a million digits is too much, and no fault of the mock."""
    assert 400 == world.ask("POST", f"/_mock/{target}", body).status_code


@pytest.mark.parametrize("depth", [300, 500, 700, 900])
@pytest.mark.parametrize("rule", ['{"do": {"status": 503}, "match": {"body": {"a": %s}}}', '{"do": {"body": %s}}'])
def test_a_body_that_is_nested_deep_is_taken_or_refused(world: World, rule: str, depth: int) -> None:
    """Depth is no fault of the mock."""
    answer = world.ask("POST", "/_mock/faults", rule % ("[" * depth + "]" * depth))

    assert answer.status_code in (201, 400)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_json_never_comes_out(world: World, word: str) -> None:
    """Words that Python takes for JSON are refused or shown as text: a strict reader can read every answer."""
    world.ask("POST", "/_mock/faults", f'{{"do": {{"status": 503}}, "match": {{"body": {{"a": {word}}}}}}}')
    sent = f'{{"a": {word}}}'.encode()
    world.house.journal.add("POST", "/api/v1/vm", b"", sent, len(sent))
    texts = {target: world.ask("GET", f"/_mock/{target}").text for target in ("faults", "scenario", "requests")}

    assert [] == [target for target, text in texts.items() if not valid_json(text)]


def test_a_reset_at_the_very_beginning_stays_one(world: World) -> None:
    """A rule whose connection is reset after 0% is the same in answers, and after its state was loaded again."""
    answer = world.ask("POST", "/_mock/faults", {"id": "rude", "do": {"connection": "reset", "at": "0%"}})
    world.ask("PUT", "/_mock/scenario", world.ask("GET", "/_mock/scenario").get_json())
    rule = world.house.controller.faults.get("rude")

    assert "0%" == answer.get_json()["do"].get("at")
    assert rule is not None
    assert 0.0 == rule.action.at


@pytest.mark.parametrize(
    "do",
    [{"status": 503, "body": "\ud800"}, {"body": "\ud800"}, {"content_type": "a\r\nb: c"}, {"content_type": "a\nb"}],
)
def test_what_cannot_be_sent_is_refused(world: World, do: dict[str, object]) -> None:
    """A rule with half a character in its body or a line break in a header would break the server when it strikes."""
    assert 400 == world.ask("POST", "/_mock/faults", {"do": do}).status_code


def test_a_lost_node_can_still_be_shown_offline_at_once(world: World) -> None:
    """``at_once`` holds for a node too that was lost before and is not shown as Offline yet."""
    world.ask("POST", "/_mock/nodes/mini-01/offline")
    answer = world.ask("POST", "/_mock/nodes/mini-01/offline", {"at_once": True})

    assert "Offline" == answer.get_json()["state"]
