"""The contract document, openapi/controller.yaml, holds together and says what it is meant to say.

Whole it is looked at for its marks; what an answer may be is looked at release by release. What the document says of
two releases in the same words is tested at the first of them: the test of the other would compare the same values.
"""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from openapi_spec_validator import OpenAPIV31SpecValidator

from mockanka.contract.document import OPENAPI_METHODS
from mockanka.core.operations import OPERATIONS as TABLE
from mockanka.core.release import DEFAULT_RELEASE, SINCE
from tests.contracts import FAIL, RELEASES, Contract, contract, distinct, full_document, has

DOCUMENT = Path(__file__).parents[2] / "openapi" / "controller.yaml"

OPERATIONS = {
    ("/api/v1/status", "get"): ("getStatus", None),
    ("/api/v1/vm", "post"): ("startVms", None),
    ("/api/v1/vm", "get"): ("listVms", None),
    ("/api/v1/vm", "put"): ("updateVm", None),
    ("/api/v1/vm", "delete"): ("terminateVm", None),
    ("/api/v1/rpc/vm/restart", "post"): ("restartVm", "1.44.0"),
    ("/api/v1/node", "get"): ("listNodes", None),
    ("/api/v1/node", "delete"): ("deleteNode", None),
    ("/api/v1/node/config", "post"): ("configureNode", None),
    ("/api/v1/node/update", "put"): ("updateNodes", "1.18.0"),
    ("/api/v1/node/group", "post"): ("addNodesToGroups", None),
    ("/api/v1/node/group", "delete"): ("removeNodesFromGroups", None),
    ("/api/v1/registry/vm", "get"): ("listTemplates", None),
    ("/api/v1/registry/vm", "delete"): ("deleteTemplate", None),
    ("/api/v1/registry/vm/remove", "delete"): ("removeTemplateFromNodes", "1.20.0"),
    ("/api/v1/registry/disk", "get"): ("getRegistryDisk", None),
    ("/api/v1/registry/revert", "delete"): ("revertTemplate", None),
    ("/api/v1/registry/vm/distribute", "post"): ("distributeTemplate", None),
    ("/api/v1/registry/vm/distribute", "get"): ("listDistributions", None),
    ("/api/v1/registry/vm/distribute", "delete"): ("cancelDistribution", "1.43.0"),
    ("/api/v1/image", "post"): ("saveImage", None),
    ("/api/v1/image", "get"): ("listSaveImages", None),
    ("/api/v1/group", "post"): ("createGroup", None),
    ("/api/v1/group", "get"): ("listGroups", None),
    ("/api/v1/group", "put"): ("updateGroup", None),
    ("/api/v1/group", "delete"): ("deleteGroup", None),
    ("/api/v1/usb", "get"): ("listUsbDevices", None),
    ("/api/v1/vlan", "get"): ("listVlans", "1.23.0"),
    ("/livez", "get"): ("getLivez", "1.41.1"),
    ("/readyz", "get"): ("getReadyz", "1.41.1"),
}
"""Every operation, and the release it came with."""

PROBES = {"getLivez", "getReadyz"}


class _UniqueKeyLoader(yaml.SafeLoader):
    """SafeLoader keeps the last of two equal keys and says nothing; this one refuses."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"keys given twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def each_operation(with_envelope: bool = False) -> list[Any]:
    """Every operation of every release that has it otherwise than those before, as parameters of a test."""
    return distinct(
        (
            (contract(release).content(where), has(release, "1.20.0")),
            pytest.param(release, name, id=f"{release}-{name}"),
        )
        for release in RELEASES
        for name, where in contract(release).operations.items()
        if not (with_envelope and name in PROBES)
    )


# The whole document.


def test_the_whole_document_is_valid_openapi() -> None:
    """With all its marks it is valid OpenAPI 3.1, and no key in it is given twice."""
    loaded = yaml.load(DOCUMENT.read_text(encoding="utf-8"), _UniqueKeyLoader)

    assert loaded == full_document()
    assert loaded["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(loaded).validate()


def test_the_whole_document_bears_the_default_release() -> None:
    """The version of the document is that of today's controller."""
    assert str(DEFAULT_RELEASE) == full_document()["info"]["version"]


def test_the_operations_are_exactly_the_agreed_ones() -> None:
    """The document has the agreed operations under their agreed names since the agreed releases, and no other."""
    found = {
        (path, method): (item[method]["operationId"], item[method].get("x-since"))
        for path, item in full_document()["paths"].items()
        for method in OPENAPI_METHODS
        if method in item
    }

    assert OPERATIONS == found


# Release by release.


@pytest.mark.parametrize("release", RELEASES)
def test_a_contract_is_valid_openapi(release: str) -> None:
    """The contract of a release is valid OpenAPI 3.1, and bears the number of the release."""
    document = contract(release).document
    OpenAPIV31SpecValidator(document).validate()

    assert release == document["info"]["version"]


@pytest.mark.parametrize("release", RELEASES)
def test_a_contract_has_the_operations_of_its_release(release: str) -> None:
    """What came with a later release is not there, and everything else is."""
    expected = {name for name, since in OPERATIONS.values() if has(release, since)}

    assert expected == set(contract(release).operations)


@pytest.mark.parametrize(("release", "name"), each_operation(with_envelope=True))
def test_failure_is_documented_once(release: str, name: str) -> None:
    """Before 1.20.0 an answer with 200 is success or failure; from then on 200 is success and 400 is failure."""
    of = contract(release)
    options = of.alternatives(of.answer_media(name))
    responses = of.operation(name)["responses"]

    if has(release, until="1.20.0"):
        assert {"200"} == set(responses)
        assert len(options) >= 2
        assert FAIL == options[-1]
    else:
        assert {"200", "400"} == set(responses)
        assert FAIL not in options
        assert {"$ref": FAIL} == of.at(of.answer_media(name, "400") + "/schema")


@pytest.mark.parametrize("release", RELEASES)
def test_only_probes_have_no_envelope(release: str) -> None:
    """The two probes answer with text and know no failure; everything else is an envelope."""
    of = contract(release)
    bare = {name for name in of.operations if not of.has_envelope(name)}

    assert PROBES & set(of.operations) == bare
    assert {("200",)} >= {tuple(of.operation(name)["responses"]) for name in bare}
    assert all(of.answer_media(name).endswith("text~1plain") for name in bare)


EXAMPLES = distinct(
    ((contract(release).content(schema), repr(value)), pytest.param(release, schema, value, id=f"{release}-{name}"))
    for release in RELEASES
    for name, schema, value in contract(release).examples()
)


@pytest.mark.parametrize(("release", "schema", "value"), EXAMPLES)
def test_an_example_fits_its_schema(release: str, schema: str, value: Any) -> None:
    """Every example of a request, an answer, a parameter or a header validates against its own schema."""
    assert [] == contract(release).errors(schema, value)


@pytest.mark.parametrize(("release", "name"), each_operation())
def test_an_operation_has_its_examples(release: str, name: str) -> None:
    """Every operation has an example of its parameters, its request, every shape of success, and failure.

    An empty list is no example of its shape.
    """
    of = contract(release)
    for parameter in of.parameters(name):
        assert of.examples_at(parameter), f"no example for the parameter {of.at(parameter)['name']}"
    if media := of.request_media(name):
        assert of.examples_at(media), "no example of the request"
    answers = list(of.examples_at(of.answer_media(name)).values())
    if name in PROBES:
        assert answers
        return
    successes = [answer for answer in answers if of.errors(FAIL, answer)]
    shapes = of.shapes(name)
    for shape in shapes:
        telling = [each for each in successes if each.get("body") != []]
        assert any(not of.errors(shape, each) for each in telling), f"no example of {shape}"
    assert len(successes) >= len(shapes)
    failures = of.examples_at(of.failing(name)).values()
    assert any(not of.errors(FAIL, answer) for answer in failures), "no example of a failure"


AMBIGUOUS = {"listNodes": "a list of one node", "listTemplates": "a list of none"}
"""What fits two shapes, so that only the query can tell."""


@pytest.mark.parametrize(("release", "name"), each_operation(with_envelope=True))
def test_an_answer_has_one_shape_only(release: str, name: str) -> None:
    """Each example of an answer fits exactly one alternative, but for lists of one node and of no templates."""
    of = contract(release)
    media = of.answer_media(name)
    several = len(of.alternatives(media)) > 1

    assert (name in AMBIGUOUS) == ("anyOf" in of.at(media + "/schema"))
    assert (several and name not in AMBIGUOUS) == ("oneOf" in of.at(media + "/schema"))
    for example, value in of.examples_at(media).items():
        fitting = [option for option in of.alternatives(media) if not of.errors(option, value)]
        if name == "listNodes" and len(value.get("body", [])) == 1:
            assert of.shapes(name) == fitting
        elif name == "listTemplates" and value.get("body") == []:
            assert [shape for shape in of.shapes(name) if "List" in shape] == fitting
        else:
            assert len(fitting) == 1, f"{example} fits {fitting}"


@cache
def several_shapes(release: str) -> list[str]:
    of = contract(release)
    return [name for name in of.operations if "x-when-query" in of.at(of.answer_media(name))]


@pytest.mark.parametrize("release", RELEASES)
def test_the_operations_with_several_shapes_say_which_query_selects(release: str) -> None:
    """Exactly the operations that answer in two shapes or more carry x-when-query."""
    of = contract(release)

    assert [name for name in of.operations if len(of.shapes(name)) > 1] == several_shapes(release)
    assert {"listVms", "listNodes", "listTemplates", "listDistributions", "listSaveImages"} == set(
        several_shapes(release)
    )


@pytest.mark.parametrize(
    ("release", "name"), [(release, name) for release in RELEASES for name in several_shapes(release)]
)
def test_a_selected_shape_is_among_the_alternatives(release: str, name: str) -> None:
    """x-when-query points at existing success alternatives, by declared query parameters, and covers them all."""
    of = contract(release)
    choice = dict(of.at(of.answer_media(name))["x-when-query"])
    for target in choice.values():
        assert isinstance(of.at(target), dict)
    assert sorted(choice.values()) == sorted(of.shapes(name))
    assert choice.pop("otherwise")
    declared = {of.at(p)["name"] for p in of.parameters(name) if of.at(p)["in"] == "query"}
    assert {query.partition("=")[0] for query in choice} == declared


LINKS = distinct(
    (
        (
            source,
            name,
            repr(link),
            contract(release).content(contract(release).operations.get(link["operationId"], "#")),
        ),
        pytest.param(release, source, link, id=f"{release}-{source}-{name}"),
    )
    for release in RELEASES
    for source, name, link in contract(release).links()
)


@pytest.mark.parametrize("release", RELEASES)
def test_starting_creating_and_requesting_lead_on(release: str) -> None:
    """The operations that make something link to the operations that use it."""
    assert {"startVms", "distributeTemplate", "saveImage", "createGroup"} == {
        source for source, _, _ in contract(release).links()
    }


@pytest.mark.parametrize(("release", "source", "link"), LINKS)
def test_a_link_leads_to_an_operation(release: str, source: str, link: dict[str, Any]) -> None:
    """Every link names an operation of the release, with parameters and a body which that operation takes."""
    of = contract(release)
    assert link["operationId"] in of.operations
    target = link["operationId"]
    assert set(link.get("parameters", {})) <= {of.at(p)["name"] for p in of.parameters(target)}
    media = of.request_media(target)
    assert ("requestBody" in link) == (media is not None)
    if media:
        assert of.errors(media + "/schema", link["requestBody"]) == []


def with_request() -> list[Any]:
    return [each for each in each_operation() if contract(each.values[0]).request_media(each.values[1])]


@pytest.mark.parametrize(("release", "name"), with_request())
def test_a_request_may_have_unknown_fields(release: str, name: str) -> None:
    """Every request body is required, but one, and is accepted with a field nobody knows."""
    of = contract(release)
    media = of.request_media(name)
    assert media is not None
    assert (name != "removeTemplateFromNodes") == of.operation(name)["requestBody"]["required"]
    for value in of.examples_at(media).values():
        assert of.errors(media + "/schema", {**value, "disk": {}, "surprise": None}) == []


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


@pytest.mark.parametrize(("release", "name"), each_operation(with_envelope=True))
def test_a_surprising_key_anywhere_in_an_answer_is_caught(release: str, name: str) -> None:
    """An example of an answer stops fitting when any of its objects gets a key that is not documented."""
    of = contract(release)
    for status in of.operation(name)["responses"]:
        media = of.answer_media(name, status)
        for value in of.examples_at(media).values():
            for path in objects_in(value):
                assert of.errors(media + "/schema", with_surprise(value, path)), f"{path} takes any key"


# Planted mistakes.


def answer(of: Contract, name: str, shape: str, *keys: str) -> dict[str, Any]:
    """An example of an answer in a shape, the first whose text has all the keys."""
    for value in of.examples_at(of.answer_media(name)).values():
        if not of.errors(shape, value) and value["body"] and all(f"'{key}':" in repr(value["body"]) for key in keys):
            copied: dict[str, Any] = deepcopy(value)
            return copied
    raise LookupError(f"no example of {shape} has {keys}")


INSTANCE = {
    "instance_state": None,
    "anka_registry": None,
    "vmid": None,
    "ts": None,
    "cr_time": None,
    "progress": None,
    "arch": "1.22.0",
    "vlan": "1.23.0",
    "instance_id": "1.24.0",
    "inflight_reqid": "1.27.0",
}
"""What an instance always has, and from which release on."""

VM_INFO = {
    "uuid": (None, None),
    "status": (None, None),
    "cpu_cores": (None, None),
    "ram": (None, None),
    "node_id": (None, None),
    "host_ip": (None, None),
    "ip": (None, None),
    "vnc_port": (None, None),
    "vnc_connection_string": (None, "1.41.0"),
    "version": ("1.24.0", None),
    "creation_date": ("1.24.0", None),
    "stop_date": ("1.24.0", None),
    "access_date": ("1.41.0", None),
    "timestamp": ("1.41.0", None),
    "start_date": ("1.44.0", None),
    "name": ("1.49.0", None),
}
"""What a VM always has, from which release on and up to which; ``name`` may be there before as well."""

NODE = {
    "usb_devices": (None, "1.43.0"),
    "templates": ("1.20.0", None),
    "host_arch": ("1.22.0", None),
    "last_updated": ("1.43.0", None),
    "timestamp": ("1.43.0", None),
    "agent_version": ("1.43.0", None),
}
RULE_NAMES = {"Name": (None, "1.24.0"), "rule_name": ("1.24.0", "1.39.0"), "name": ("1.39.0", None)}


def wrong_instances(release: str) -> Iterator[tuple[str, str, Any]]:
    of = contract(release)
    one, many = (of.selected("listVms", query) for query in ("id", "otherwise"))
    listed = answer(of, "listVms", many, "vminfo", "port_forwarding")
    item = next(item for item in listed["body"] if "port_forwarding" in item["vm"].get("vminfo", {}))

    def instance(*lacking: str, **changes: Any) -> dict[str, Any]:
        spoilt = {key: value for key, value in deepcopy(item["vm"]).items() if key not in lacking}
        return {**listed, "body": {**spoilt, **changes}}

    def vm(*lacking: str, **changes: Any) -> dict[str, Any]:
        info = {key: value for key, value in deepcopy(item["vm"]["vminfo"]).items() if key not in lacking}
        return instance(vminfo={**info, **changes})

    assert [] == of.errors(one, instance())
    yield "instance with null vminfo", one, instance(vminfo=None)
    yield "instance with null message", one, instance(message=None)
    yield "instance with null name", one, instance(name=None)
    yield "instance with null external id", one, instance(external_id=None)
    yield "instance in an unknown state", one, instance(instance_state="Starting")
    yield "instance with an empty time", one, instance(ts="")
    yield "instance with progress in percent", one, instance(progress=42)
    yield "instance with nested metadata", one, instance(metadata={"a": {}})
    for key, since in INSTANCE.items():
        wrong = instance(key) if has(release, since) else instance(**{key: "amd64"})
        if key != "inflight_reqid" or has(release, since):
            yield f"instance, {key} wrong", one, wrong
    if has(release, until="1.24.0"):
        yield "instance with a name inside", one, instance(name="My VM")
        yield "instance with an external id inside", one, instance(external_id="ly79930")
        script = {"return_code": 0, "did_timeout": False, "stdout": "", "stderr": ""}
        yield "instance with a startup script", one, instance(startup_script=script)
        yield "list item with null name", many, {**listed, "body": [{**item, "name": None}]}
    else:
        for key in ("name", "external_id"):
            bare = {name: value for name, value in item.items() if name != key}
            yield f"list item without {key}", many, {**listed, "body": [bare]}
    for key, (since, until) in VM_INFO.items():
        if has(release, since, until):
            yield f"vm without {key}", one, vm(key)
        elif key != "name":
            yield f"vm with {key}", one, vm(**{key: "2022-07-14T20:22:11Z"})
    yield "vm that has no date", one, vm(creation_date="")
    for key, (since, until) in RULE_NAMES.items():
        right = next(name for name in RULE_NAMES if name in item["vm"]["vminfo"]["port_forwarding"][0])
        assert (key == right) == has(release, since, until)
        if key != right:
            rule = {**item["vm"]["vminfo"]["port_forwarding"][0]}
            yield f"port rule named by {key}", one, vm(port_forwarding=[{**rule, key: rule.pop(right)}])
            yield f"port rule named twice, by {key}", one, vm(port_forwarding=[{**rule, right: "a", key: "a"}])
    yield "list for ?id=", one, listed
    yield "single instance for the list", many, instance()
    yield "null for an empty list", many, {"status": "OK", "message": "", "body": None}
    yield "list without body", many, {"status": "OK", "message": ""}


def wrong_nodes(release: str) -> Iterator[tuple[str, str, Any]]:
    of = contract(release)
    one, many = (of.selected("listNodes", query) for query in ("id", "otherwise"))
    nodes = answer(of, "listNodes", one)
    (node,) = nodes["body"]

    def listed(*lacking: str, **changes: Any) -> dict[str, Any]:
        kept = {key: value for key, value in deepcopy(node).items() if key not in lacking}
        return {**nodes, "body": [{**kept, **changes}]}

    yield "bare node for ?id=", one, {**nodes, "body": node}
    yield "two nodes for ?id=", one, {**nodes, "body": nodes["body"] * 2}
    yield "no node for ?id=", one, {**nodes, "body": []}
    yield "node with an empty array of groups", many, listed(groups=[])
    yield "node with null groups", many, listed(groups=None)
    for key, (since, until) in NODE.items():
        if has(release, since, until):
            yield f"node without {key}", many, listed(key)
        elif key != "usb_devices":
            yield f"node with {key}", many, listed(**{key: "amd64"})
    anka = {**node["anka_version"]}
    if has(release, "1.43.0"):
        yield "node with null USB devices", many, listed(usb_devices=None)
        del anka["expires"]
        yield "node whose licence does not end", many, listed(anka_version=anka)
    else:
        yield "node whose licence ends", many, listed(anka_version={**anka, "expires": "17-aug-2025"})
    if has(release, "1.32.0"):
        yield "node with a blank capacity mode", one, listed(capacity_mode="")
    else:
        yield "node in Drain Mode", many, listed(state="Drain Mode")
    yield "node in an unknown state", many, listed(state="active")


def wrong_templates(release: str) -> Iterator[tuple[str, str, Any]]:
    of = contract(release)
    one, many = (of.selected("listTemplates", query) for query in ("id", "otherwise"))
    listed, single = answer(of, "listTemplates", many, "size"), answer(of, "listTemplates", one)
    yield "template list for ?id=", one, listed
    stateless = deepcopy(single)
    del stateless["body"]["versions"][0]["state_file"]
    yield "template version without state_file", one, stateless
    for place in (single["body"], single["body"]["versions"][0], listed["body"][0]):
        for key, since in {"size": "1.22.0", "arch": "1.22.0", "last_pull": "1.43.0", "last_push": "1.43.0"}.items():
            if key == "size" and place is not single["body"]:
                continue
            spoilt = {name: value for name, value in place.items() if name != key}
            if not has(release, since):
                spoilt[key] = "" if key == "arch" and "tag" in place else "amd64" if key == "arch" else 1
            schema, answered = (many, listed) if place is listed["body"][0] else (one, single)
            body: Any = [spoilt] if schema == many else {**single["body"], "versions": [spoilt]}
            yield f"template, {key} wrong", schema, {**answered, "body": spoilt if place is single["body"] else body}
    if has(release, "1.28.0"):
        short = of.selected("listTemplates", "apiVer=v1")
        yield "whole list for apiVer=v1", short, listed
        yield "one template for apiVer=v1", short, single
        yield "short list for all", many, answer(of, "listTemplates", short)


def wrong_others(release: str) -> Iterator[tuple[str, str, Any]]:
    of = contract(release)
    distributions = answer(of, "listDistributions", of.selected("listDistributions", "otherwise"))
    yield "distribution list for ?id=", of.selected("listDistributions", "id"), distributions
    if has(release, until="1.43.0"):
        (states,) = (each["distribute_status"] for each in distributions["body"])
        told = {**distributions["body"][0], "distribute_status": {key: {**states[key], "error": "x"} for key in states}}
        yield "distribution with an error", of.selected("listDistributions", "id"), {**distributions, "body": told}
    one, many = (of.selected("listSaveImages", query) for query in ("id", "otherwise"))
    yield "save list for ?id=", one, answer(of, "listSaveImages", many)
    worded = answer(of, "listSaveImages", one)
    yield "save error as a text", one, {**worded, "body": {**worded["body"], "error": "illegal base64 data"}}
    scripted = {**worded["body"], "script_result": None}
    if has(release, "1.15.0"):
        del scripted["script_result"]
    yield "save request, script_result wrong", one, {**worded, "body": scripted}
    task = {**worded["body"]["request"], "CancelOnScriptFailure": False}
    if has(release, "1.15.0"):
        del task["CancelOnScriptFailure"]
    yield "save task, CancelOnScriptFailure wrong", one, {**worded, "body": {**worded["body"], "request": task}}
    result = {"stdout": "", "stderr": "", "errors": None, "return_code": 0}
    if has(release, until="1.42.0"):
        result["did_timeout"] = False
    yield "save script, did_timeout wrong", one, {**worded, "body": {**worded["body"], "script_result": result}}

    def success(name: str) -> str:
        return of.answer_media(name) + "/schema"

    def failing(name: str) -> str:
        return of.failing(name) + "/schema"

    yield "success with a message", success("terminateVm"), {"status": "OK", "message": "done"}
    yield "success with a needless body", success("terminateVm"), {"status": "OK", "message": "", "body": None}
    yield "failure with a body", failing("terminateVm"), {"status": "FAIL", "message": "Not found", "body": None}
    yield "failure without a message", failing("terminateVm"), {"status": "FAIL", "message": ""}
    yield "another status", failing("terminateVm"), {"status": "ERROR", "message": "Not found"}
    if has(release, "1.20.0"):
        yield "failure with 200", success("terminateVm"), {"status": "FAIL", "message": "Not found"}
        yield "success with 400", failing("terminateVm"), {"status": "OK", "message": ""}
        yield "bare removal", success("removeTemplateFromNodes"), {"status": "OK", "message": ""}
    if has(release, "1.23.0"):
        yield "VLANs as numbers", success("listVlans"), {"status": "OK", "message": "", "body": [12]}
        yield "null for no VLANs", success("listVlans"), {"status": "OK", "message": "", "body": None}
    yield "revert without body", success("revertTemplate"), {"status": "OK", "message": ""}
    yield "start without ids", success("startVms"), {"status": "OK", "message": "", "body": []}
    yield "bare request id", success("distributeTemplate"), {"status": "OK", "message": "", "body": "74efc824"}
    yield "disk without total", success("getRegistryDisk"), {"status": "OK", "message": "", "body": {"free": 1}}
    group = answer(of, "createGroup", "#/components/schemas/GroupEnvelope")
    group["body"]["description"] = None
    yield "group with null description", success("createGroup"), group


PLANTED = distinct(
    ((contract(release).content(schema), repr(value)), pytest.param(release, schema, value, id=f"{release}-{name}"))
    for release in RELEASES
    for wrong in (wrong_instances, wrong_nodes, wrong_templates, wrong_others)
    for name, schema, value in wrong(release)
)


@pytest.mark.parametrize(("release", "schema", "value"), PLANTED)
def test_a_planted_wrong_answer_is_caught(release: str, schema: str, value: Any) -> None:
    """The schemas are strict: an answer with a planted mistake does not validate."""
    assert contract(release).errors(schema, value)


WRONG_REQUESTS: list[tuple[str, dict[str, Any], str | None]] = [
    ("startVms", {}, None),
    ("startVms", {"vmid": ""}, None),
    ("startVms", {"vmid": "a", "count": 0}, None),
    ("startVms", {"vmid": "a", "count": 10001}, None),
    ("startVms", {"vmid": "a", "priority": 0}, None),
    ("startVms", {"vmid": "a", "startup_script_condition": 2}, None),
    ("startVms", {"vmid": "a", "metadata": {"a": None}}, None),
    ("startVms", {"vmid": "a", "mac_address": 1}, "1.9.0"),
    ("startVms", {"vmid": "a", "vlan_tag": 12}, "1.23.0"),
    ("startVms", {"vmid": "a", "script_monitoring": "true"}, "1.24.0"),
    ("startVms", {"vmid": "a", "script_timeout": -1}, "1.24.0"),
    ("startVms", {"vmid": "a", "script_fail_handler": 3}, "1.24.0"),
    ("startVms", {"vmid": "a", "video_controller": "vga"}, "1.27.0"),
    ("startVms", {"vmid": "a", "hvapic": True}, "1.27.0"),
    ("startVms", {"vmid": "a", "csr_active_config": "forceOff"}, "1.30.0"),
    ("startVms", {"vmid": "a", "network_local": "on"}, "1.30.0"),
    ("startVms", {"vmid": "a", "hw_serial": 1}, "1.37.0"),
    ("startVms", {"vmid": "a", "group": ["a"]}, "1.38.0"),
    ("startVms", {"vmid": "a", "port_forwarding_override": {}}, "1.39.0"),
    ("startVms", {"vmid": "a", "port_forwarding_override": [{"name": "a"}]}, "1.39.0"),
    ("startVms", {"vmid": "a", "port_forwarding_override": [{"name": "a", "guest_port": 22}]}, "1.39.0"),
    ("startVms", {"vmid": "a", "port_forwarding_override": [{"name": "a", "guest_port": "0"}]}, "1.39.0"),
    ("startVms", {"vmid": "a", "port_forwarding_override": [{"name": "a", "guest_port": "65536"}]}, "1.39.0"),
    ("startVms", {"vmid": "a", "disk": {"size": "256GB"}}, "1.39.0"),
    ("startVms", {"vmid": "a", "disk": {"size": 256}}, "1.39.0"),
    ("startVms", {"vmid": "a", "disk": {"skip_container_resize": 1}}, "1.39.0"),
    ("startVms", {"vmid": "a", "vnc_password": 1}, "1.42.0"),
    ("updateVm", {"metadata": {"a": 0.5}}, None),
    ("terminateVm", {"id": ""}, None),
    ("restartVm", {"id": "a"}, "1.44.0"),
    ("restartVm", {"instance_id": ""}, "1.44.0"),
    ("deleteNode", {"id": "a"}, None),
    ("configureNode", {"name": "a"}, None),
    ("configureNode", {"node_id": "a", "capacity_mode": ""}, None),
    ("configureNode", {"node_id": "a", "drain_mode": "true"}, "1.32.0"),
    ("addNodesToGroups", {"group_ids": []}, None),
    ("removeNodesFromGroups", {"group_ids": [], "node_ids": "a"}, None),
    ("removeTemplateFromNodes", {"node_ids": "a"}, "1.20.0"),
    ("distributeTemplate", {"tag": "t1"}, None),
    ("distributeTemplate", {"template_id": "a", "group": 1}, "1.38.0"),
    ("saveImage", {"id": "a"}, None),
    ("saveImage", {"id": "a", "target_vm_id": "", "new_template_name": ""}, None),
    ("saveImage", {"id": "a", "target_vm_id": "a", "cancel_on_script_failure": 1}, "1.15.0"),
    ("createGroup", {"name": ""}, None),
    ("updateGroup", {"description": None}, None),
]
"""An operation, a body, and since when it is wrong: before, what is wrong with it is not known and so let pass."""


def wrong_requests() -> list[Any]:
    """Each of them at every release that has another schema for it than those before, or another verdict."""
    rows = []
    for release in RELEASES:
        of = contract(release)
        for name, body, since in WRONG_REQUESTS:
            media = of.request_media(name) if name in of.operations else None
            key = (name, repr(body), has(release, since), media and of.content(media + "/schema"))
            rows.append((key, pytest.param(release, name, body, since, id=f"{name}-{body}-{release}")))
    return distinct(rows)


@pytest.mark.parametrize(("release", "name", "body", "since"), wrong_requests())
def test_a_planted_wrong_request_is_caught(release: str, name: str, body: dict[str, Any], since: str | None) -> None:
    """The request schemas know what is required, which values are in range, and what their release does not know."""
    of = contract(release)
    if name not in of.operations:
        assert not has(release, since)
        return
    media = of.request_media(name)
    assert media is not None
    assert has(release, since) == bool(of.errors(media + "/schema", body))


def test_the_document_has_the_operations_of_the_table() -> None:
    """Both name the same operations, by the same ids, and since the same releases."""
    table = {
        (operation.path, operation.method.lower()): (
            operation.id,
            str(SINCE[operation.feature]) if operation.feature else None,
        )
        for operation in TABLE
    }

    assert OPERATIONS == table
