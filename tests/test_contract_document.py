"""The contract document, openapi/controller.yaml, holds together and says what it is meant to say."""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

DOCUMENT = Path(__file__).parent.parent / "openapi" / "controller.yaml"
BASE = "urn:mockanka:controller"
JSON = "application/json"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
FAIL = "#/components/schemas/FailEnvelope"

OPERATIONS = {
    ("/api/v1/status", "get"): "getStatus",
    ("/api/v1/vm", "post"): "startVms",
    ("/api/v1/vm", "get"): "listVms",
    ("/api/v1/vm", "put"): "updateVm",
    ("/api/v1/vm", "delete"): "terminateVm",
    ("/api/v1/node", "get"): "listNodes",
    ("/api/v1/node", "delete"): "deleteNode",
    ("/api/v1/node/config", "post"): "configureNode",
    ("/api/v1/registry/vm", "get"): "listTemplates",
    ("/api/v1/registry/vm", "delete"): "deleteTemplate",
    ("/api/v1/registry/revert", "delete"): "revertTemplate",
    ("/api/v1/registry/vm/distribute", "post"): "distributeTemplate",
    ("/api/v1/registry/vm/distribute", "get"): "listDistributions",
    ("/api/v1/image", "post"): "saveImage",
    ("/api/v1/image", "get"): "listSaveImages",
    ("/api/v1/group", "post"): "createGroup",
    ("/api/v1/group", "get"): "listGroups",
    ("/api/v1/group", "put"): "updateGroup",
    ("/api/v1/group", "delete"): "deleteGroup",
    ("/api/v1/node/group", "post"): "addNodesToGroups",
    ("/api/v1/node/group", "delete"): "removeNodesFromGroups",
    ("/api/v1/usb", "get"): "listUsbDevices",
}


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader keeps the last of two equal keys and says nothing; this one refuses."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"keys given twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


@cache
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(DOCUMENT.read_text(encoding="utf-8"), _UniqueKeyLoader)
    return loaded


@cache
def registry() -> Registry[Any]:
    filled: Registry[Any] = Registry().with_resource(BASE, DRAFT202012.create_resource(document()))
    return filled


def pointer(*keys: str | int) -> str:
    return "#" + "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def at(where: str) -> Any:
    return registry().resolver(BASE).lookup(where).contents


def settle(where: str) -> str:
    """The pointer behind a chain of references."""
    seen = set()
    while isinstance(found := at(where), dict) and "$ref" in found:
        assert where not in seen, f"{where} refers to itself"
        seen.add(where)
        where = found["$ref"]
    return where


def errors(schema: str, value: Any) -> list[str]:
    validator = Draft202012Validator(
        {"$ref": BASE + schema},
        registry=registry(),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """The pointer of every operation in the document, and the operation."""
    for path, item in document()["paths"].items():
        for method in METHODS:
            if method in item:
                yield pointer("paths", path, method), item[method]


def operation_named(name: str) -> tuple[str, dict[str, Any]]:
    for where, op in operations():
        if op["operationId"] == name:
            return where, op
    raise LookupError(f"no operation is named {name}")


def request_media(where: str, op: dict[str, Any]) -> str | None:
    if "requestBody" not in op:
        return None
    return settle(where + "/requestBody") + pointer("content", JSON)[1:]


def answer_media(where: str, status: str = "200") -> str:
    return settle(f"{where}/responses/{status}") + pointer("content", JSON)[1:]


def parameters(where: str, op: dict[str, Any]) -> list[str]:
    return [settle(f"{where}/parameters/{i}") for i in range(len(op.get("parameters", [])))]


def examples_at(holder: str) -> dict[str, Any]:
    """The examples of a media type, a parameter or a header, by name."""
    found = {"example": at(holder)["example"]} if "example" in at(holder) else {}
    for name in at(holder).get("examples", {}):
        found[name] = at(settle(holder + pointer("examples", name)[1:]))["value"]
    return found


def all_examples() -> Iterator[tuple[str, str, Any]]:
    """A readable id, the pointer of the schema and the value, for every example in the document."""
    for where, op in operations():
        name = op["operationId"]
        holders = [(f"{name}-parameter-{at(p)['name']}", p) for p in parameters(where, op)]
        if media := request_media(where, op):
            holders.append((f"{name}-request", media))
        for status in op["responses"]:
            holders.append((f"{name}-{status}", answer_media(where, status)))
            response = settle(f"{where}/responses/{status}")
            for header in at(response).get("headers", {}):
                place = settle(response + pointer("headers", header)[1:])
                holders.append((f"{name}-{status}-{header}", place))
        for label, holder in holders:
            for example, value in examples_at(holder).items():
                yield f"{label}-{example}", holder + "/schema", value


def alternatives(media: str) -> list[str]:
    schema = at(media + "/schema")
    return [option["$ref"] for option in schema.get("oneOf", schema.get("anyOf", []))]


def two_shapes() -> list[str]:
    return [op["operationId"] for where, op in operations() if "x-when-query" in at(answer_media(where))]


def selected(name: str, query: str) -> str:
    """The envelope that x-when-query gives for a query parameter, or for `otherwise`."""
    where, _ = operation_named(name)
    return str(at(answer_media(where))["x-when-query"][query])


EXAMPLES = list(all_examples())
OPERATION_IDS = [op["operationId"] for _, op in operations()]


def test_the_document_is_valid_openapi() -> None:
    """The document is valid OpenAPI 3.1, and no key in it is given twice."""
    assert document()["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document()).validate()


def test_the_document_speaks_for_release_1_8_0() -> None:
    """The version of the document is that of the controller it describes."""
    assert document()["info"]["version"] == "1.8.0"


def test_the_operations_are_exactly_the_agreed_ones() -> None:
    """The document has the agreed operations under their agreed names, and no other."""
    found = {
        (path, method): item[method]["operationId"]
        for path, item in document()["paths"].items()
        for method in METHODS
        if method in item
    }
    assert found == OPERATIONS


@pytest.mark.parametrize("name", OPERATION_IDS)
def test_an_operation_answers_200_or_400(name: str) -> None:
    """Every operation documents 200 with success or failure and 400 with failure, and nothing else."""
    where, op = operation_named(name)
    assert set(op["responses"]) == {"200", "400"}
    options = alternatives(answer_media(where))
    assert options[-1] == FAIL
    assert len(options) >= 2
    assert at(answer_media(where, "400") + "/schema") == {"$ref": FAIL}


@pytest.mark.parametrize(("schema", "value"), [e[1:] for e in EXAMPLES], ids=[e[0] for e in EXAMPLES])
def test_an_example_fits_its_schema(schema: str, value: Any) -> None:
    """Every example of a request, an answer, a parameter or a header validates against its own schema."""
    assert errors(schema, value) == []


@pytest.mark.parametrize("name", OPERATION_IDS)
def test_an_operation_has_its_examples(name: str) -> None:
    """Every operation has an example of its parameters, its request, every shape of success, and failure."""
    where, op = operation_named(name)
    for parameter in parameters(where, op):
        assert examples_at(parameter), f"no example for the parameter {at(parameter)['name']}"
    if media := request_media(where, op):
        assert examples_at(media), "no example of the request"
    media = answer_media(where)
    answers = list(examples_at(media).values())
    shapes = [option for option in alternatives(media) if option != FAIL]
    for shape in shapes:
        assert any(not errors(shape, answer) for answer in answers), f"no example of {shape}"
    assert len([answer for answer in answers if errors(FAIL, answer)]) >= len(shapes)
    assert any(not errors(FAIL, answer) for answer in answers), "no example of a failure"


@pytest.mark.parametrize("name", OPERATION_IDS)
def test_an_answer_has_one_shape_only(name: str) -> None:
    """Each example of an answer fits exactly one alternative, but for listNodes, where a list of one fits both."""
    where, _ = operation_named(name)
    media = answer_media(where)
    if name == "listNodes":
        assert "anyOf" in at(media + "/schema")
        return
    assert "oneOf" in at(media + "/schema")
    for example, value in examples_at(media).items():
        fitting = [option for option in alternatives(media) if not errors(option, value)]
        assert len(fitting) == 1, f"{example} fits {fitting}"


def test_the_operations_with_two_shapes_say_which_query_selects() -> None:
    """Exactly the operations that answer in two shapes carry x-when-query."""
    several = [op["operationId"] for where, op in operations() if len(alternatives(answer_media(where))) > 2]
    assert two_shapes() == several
    assert set(several) == {"listVms", "listNodes", "listTemplates", "listDistributions", "listSaveImages"}


@pytest.mark.parametrize("name", two_shapes())
def test_a_selected_shape_is_among_the_alternatives(name: str) -> None:
    """x-when-query points at existing success alternatives, by declared query parameters, and covers them all."""
    where, op = operation_named(name)
    media = answer_media(where)
    choice = dict(at(media)["x-when-query"])
    for target in choice.values():
        assert isinstance(at(target), dict)
    assert sorted([*choice.values(), FAIL]) == sorted(alternatives(media))
    assert choice.pop("otherwise")
    declared = {at(p)["name"] for p in parameters(where, op) if at(p)["in"] == "query"}
    assert set(choice) <= declared


def all_links() -> list[tuple[str, str]]:
    return [
        (op["operationId"], link)
        for where, op in operations()
        for status in op["responses"]
        for link in at(settle(f"{where}/responses/{status}")).get("links", {})
    ]


def test_starting_creating_and_requesting_lead_on() -> None:
    """The operations that make something link to the operations that use it."""
    assert {source for source, _ in all_links()} == {"startVms", "distributeTemplate", "saveImage", "createGroup"}


@pytest.mark.parametrize(("source", "name"), all_links(), ids=["-".join(link) for link in all_links()])
def test_a_link_leads_to_an_operation(source: str, name: str) -> None:
    """Every link names an operation of the document, with parameters and a body which that operation takes."""
    where, _ = operation_named(source)
    link = at(settle(f"{where}/responses/200") + f"/links/{name}")
    assert link["operationId"] in OPERATION_IDS
    target, op = operation_named(link["operationId"])
    assert set(link.get("parameters", {})) <= {at(p)["name"] for p in parameters(target, op)}
    media = request_media(target, op)
    assert ("requestBody" in link) == (media is not None)
    if media:
        assert errors(media + "/schema", link["requestBody"]) == []


@pytest.mark.parametrize("name", [op["operationId"] for _, op in operations() if "requestBody" in op])
def test_a_request_may_have_unknown_fields(name: str) -> None:
    """Every documented request body is required and is accepted with a field nobody knows."""
    where, op = operation_named(name)
    media = request_media(where, op)
    assert media is not None
    assert op["requestBody"]["required"] is True
    for value in examples_at(media).values():
        assert errors(media + "/schema", {**value, "disk": {}}) == []


def objects_in(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from objects_in(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from objects_in(inner, (*path, index))


def with_surprise(value: Any, path: tuple[str | int, ...]) -> Any:
    """A copy of the value, with a key nobody knows in the object at the path."""
    if not path:
        return {**value, "surprise": None}
    head, *rest = path
    changed = value.copy()
    changed[head] = with_surprise(value[head], tuple(rest))
    return changed


@pytest.mark.parametrize("name", OPERATION_IDS)
def test_a_surprising_key_anywhere_in_an_answer_is_caught(name: str) -> None:
    """An example of an answer stops fitting when any of its objects gets a key that is not documented."""
    where, _ = operation_named(name)
    media = answer_media(where)
    for value in examples_at(media).values():
        for path in objects_in(value):
            assert errors(media + "/schema", with_surprise(value, path)), f"{path} takes any key"


def answer(name: str, example: str) -> dict[str, Any]:
    where, _ = operation_named(name)
    copied: dict[str, Any] = deepcopy(examples_at(answer_media(where))[example])
    return copied


def planted() -> Iterator[tuple[str, str, Any]]:
    """What is wrong, the schema that has to notice, and the wrong answer."""
    one = selected("listVms", "id")
    many = selected("listVms", "otherwise")

    def instance(**changes: Any) -> dict[str, Any]:
        spoilt = answer("listVms", "referenceOne")
        spoilt["body"].update(changes)
        return spoilt

    def without(key: str) -> dict[str, Any]:
        spoilt = answer("listVms", "referenceOne")
        del spoilt["body"][key]
        return spoilt

    yield "instance with null vminfo", one, instance(vminfo=None)
    yield "instance with null message", one, instance(message=None)
    yield "instance with its id inside", one, instance(instance_id="04b7ca7a-945c-4bdc-5123-68b2e4c8ad13")
    yield "instance with a name inside", one, instance(name="My VM")
    yield "instance with an external id inside", one, instance(external_id="ly79930")
    yield "instance with a field of release 1.22", one, instance(arch="amd64")
    yield "instance in an unknown state", one, instance(instance_state="Starting")
    yield "instance with an empty time", one, instance(ts="")
    yield "instance with progress in percent", one, instance(progress=42)
    yield "instance with nested metadata", one, instance(metadata={"a": {}})
    for key in ("instance_state", "anka_registry", "vmid", "ts", "cr_time", "progress"):
        yield f"instance without {key}", one, without(key)
    rule = answer("listVms", "referenceOne")
    rule["body"]["vminfo"]["port_forwarding"][0]["name"] = rule["body"]["vminfo"]["port_forwarding"][0].pop("Name")
    yield "port rule with a lower case name", one, rule
    yield "list for ?id=", one, answer("listVms", "referenceList")
    yield "single instance for the list", many, answer("listVms", "referenceOne")
    unset = answer("listVms", "referenceList")
    unset["body"][1]["name"] = None
    yield "list item with null name", many, unset
    yield "null for an empty list", many, {"status": "OK", "message": "", "body": None}
    yield "list without body", many, {"status": "OK", "message": ""}
    yield "template list for ?id=", selected("listTemplates", "id"), answer("listTemplates", "referenceList")
    sized = answer("listTemplates", "referenceOne")
    sized["body"]["size"] = 1
    yield "single template with a size", selected("listTemplates", "id"), sized
    stateless = answer("listTemplates", "referenceOne")
    del stateless["body"]["versions"][0]["state_file"]
    yield "template version without state_file", selected("listTemplates", "id"), stateless
    nodes = answer("listNodes", "referenceList")
    yield "bare node for ?id=", selected("listNodes", "id"), {**nodes, "body": nodes["body"][0]}
    yield "two nodes for ?id=", selected("listNodes", "id"), {**nodes, "body": nodes["body"] * 2}
    yield "no node for ?id=", selected("listNodes", "id"), {**nodes, "body": []}
    listed = answer("listNodes", "referenceList")
    listed["body"][0]["groups"] = []
    yield "node with an empty array of groups", selected("listNodes", "otherwise"), listed
    distributions = answer("listDistributions", "referenceList")
    yield "distribution list for ?id=", selected("listDistributions", "id"), distributions
    saves = answer("listSaveImages", "referenceList")
    yield "save list for ?id=", selected("listSaveImages", "id"), saves
    worded = answer("listSaveImages", "failedRequest")
    worded["body"]["error"] = "illegal base64 data"
    yield "save error as a text", selected("listSaveImages", "id"), worded

    def whole(name: str) -> str:
        return answer_media(operation_named(name)[0]) + "/schema"

    yield "success with a message", whole("terminateVm"), {"status": "OK", "message": "done"}
    yield "success with a needless body", whole("terminateVm"), {"status": "OK", "message": "", "body": None}
    yield "failure with a body", whole("terminateVm"), {"status": "FAIL", "message": "Not found", "body": None}
    yield "failure without a message", whole("terminateVm"), {"status": "FAIL", "message": ""}
    yield "another status", whole("terminateVm"), {"status": "ERROR", "message": "Not found"}
    yield "revert without body", whole("revertTemplate"), {"status": "OK", "message": ""}
    yield "start without ids", whole("startVms"), {"status": "OK", "message": "", "body": []}
    yield "bare request id", whole("distributeTemplate"), {"status": "OK", "message": "", "body": "74efc824"}
    group = answer("createGroup", "reference")
    group["body"]["description"] = None
    yield "group with null description", whole("createGroup"), group


PLANTED = list(planted())


@pytest.mark.parametrize(("schema", "value"), [p[1:] for p in PLANTED], ids=[p[0] for p in PLANTED])
def test_a_planted_wrong_answer_is_caught(schema: str, value: Any) -> None:
    """The schemas are strict: an answer with a planted mistake does not validate."""
    assert errors(schema, value)


WRONG_REQUESTS = [
    ("startVms", {}),
    ("startVms", {"vmid": ""}),
    ("startVms", {"vmid": "a", "count": 0}),
    ("startVms", {"vmid": "a", "count": 10001}),
    ("startVms", {"vmid": "a", "priority": 0}),
    ("startVms", {"vmid": "a", "startup_script_condition": 2}),
    ("startVms", {"vmid": "a", "metadata": {"a": None}}),
    ("updateVm", {"metadata": {"a": 0.5}}),
    ("terminateVm", {"id": ""}),
    ("deleteNode", {"id": "a"}),
    ("configureNode", {"name": "a"}),
    ("configureNode", {"node_id": "a", "capacity_mode": ""}),
    ("addNodesToGroups", {"group_ids": []}),
    ("removeNodesFromGroups", {"group_ids": [], "node_ids": "a"}),
    ("distributeTemplate", {"tag": "t1"}),
    ("saveImage", {"id": "a"}),
    ("saveImage", {"id": "a", "target_vm_id": "", "new_template_name": ""}),
    ("createGroup", {"name": ""}),
    ("updateGroup", {"description": None}),
]


@pytest.mark.parametrize(("name", "body"), WRONG_REQUESTS, ids=[f"{name}-{body}" for name, body in WRONG_REQUESTS])
def test_a_planted_wrong_request_is_caught(name: str, body: dict[str, Any]) -> None:
    """The request schemas know what is required, which values are in range, and that a save needs a target."""
    media = request_media(*operation_named(name))
    assert media is not None
    assert errors(media + "/schema", body)
