"""Templates, reverting them, distributing them."""

from typing import Any

import pytest

from tests.api.client import (
    GROUP,
    NEW,
    NODE,
    NOWHERE,
    OTHER_NODE,
    OTHER_TEMPLATE,
    RELEASES,
    TEMPLATE,
    Wire,
    office,
    world,
)
from tests.controllers import pass_time, shipped

VERSION = ["number", "tag", "config_file", "nvram", "images", "state_files", "description", "state_file", "size"]
LAYERS = """
templates:
  - name: layered
    versions:
      - {tag: base, size: 10GB, description: bare}
      - {tag: tools, size: 3GB}
      - {tag: asleep, size: 1GB, state_size: 2GB}
  - {name: bare}
"""


def tags(wire: Wire, template_id: str) -> list[str]:
    return [version["tag"] for version in wire.get("registry/vm", f"id={template_id}")["versions"]]


def layered() -> tuple[Wire, str]:
    wire = world(LAYERS)
    return wire, wire.get("registry/vm")[0]["id"]


def test_a_template_in_the_list_has_id_name_and_size() -> None:
    """A list item has just these three keys, in this order; templates stand in the order they came."""
    templates = office().get("registry/vm")

    assert [list(template) for template in templates] == [["id", "name", "size"]] * 2
    assert [template["id"] for template in templates] == [TEMPLATE, OTHER_TEMPLATE]


def test_without_templates_the_list_is_empty() -> None:
    """No templates is an empty array."""
    assert world("{}").get("registry/vm") == []


@pytest.mark.parametrize(("release", "size"), [("1.8.0", True), ("1.27.0", True), ("1.28.0", False), (NEW, False)])
def test_the_short_list_of_templates_came_with_1_28(release: str, size: bool) -> None:
    """Before, apiVer=v1 is passed over, and the list is the one that there always was."""
    wire = office(release)
    plain, short = wire.get("registry/vm"), wire.get("registry/vm", "apiVer=v1")

    assert size == (plain == short)
    assert [size] * 2 == ["size" in each for each in short]


def test_a_template_by_id_has_its_versions_and_no_size() -> None:
    """Asked for by id a template shows its versions, oldest first, each with its keys in this order."""
    wire, template_id = layered()
    template = wire.get("registry/vm", f"id={template_id}")

    assert list(template) == ["id", "name", "versions"]
    assert [list(version) for version in template["versions"]] == [VERSION] * 3
    assert [(version["number"], version["tag"], version["description"]) for version in template["versions"]] == [
        (0, "base", "bare"),
        (1, "tools", ""),
        (2, "asleep", ""),
    ]


def test_files_are_named_as_the_registry_names_them() -> None:
    """Configuration is named after the template; images come newest first; without state there is no state file."""
    wire, template_id = layered()
    base, tools, asleep = wire.get("registry/vm", f"id={template_id}")["versions"]

    assert {(f"{template_id}.yaml", "nvram")} == {
        (each["config_file"], each["nvram"]) for each in (base, tools, asleep)
    }
    assert [tools["images"], tools["images"][1:]] == [asleep["images"][1:], base["images"]]
    assert (base["state_files"], base["state_file"]) == ([], "")
    assert asleep["state_files"] == [asleep["state_file"]]
    assert all(len(name) == 36 and name.endswith(".ank") for name in [*asleep["images"], asleep["state_file"]])


def test_the_size_of_a_template_is_that_of_all_its_files_once() -> None:
    """A layer that versions share counts once in the template, and in each version."""
    wire, template_id = layered()
    gb = 10**9

    assert [16 * gb, 0] == [template["size"] for template in wire.get("registry/vm")]
    assert [10 * gb, 13 * gb, 16 * gb] == [
        version["size"] for version in wire.get("registry/vm", f"id={template_id}")["versions"]
    ]


def test_a_deleted_template_is_gone() -> None:
    """A deleted template is in no list, is not found by id and cannot be started; who runs it runs on."""
    wire = office()
    wire.do("DELETE", "registry/vm", query=f"id={TEMPLATE}")

    assert [template["id"] for template in wire.get("registry/vm")] == [OTHER_TEMPLATE]
    assert [
        wire.ask("GET", "registry/vm", query=f"id={TEMPLATE}")["message"],
        wire.ask("POST", "vm", {"vmid": TEMPLATE})["message"],
    ] == ["Not found", "VM not in the registry"]
    assert [item["vm"]["instance_state"] for item in wire.get("vm")] == ["Started"]


@pytest.mark.parametrize(
    ("selector", "left"),
    [
        ("", ["base", "tools"]),
        ("&tag=asleep", ["base", "tools"]),
        ("&tag=tools", ["base"]),
        ("&tag_name=tools", ["base"]),
        ("&number=1", ["base"]),
        ("&version=1", ["base"]),
        ("&version=0", []),
        ("&number=001", ["base"]),
        ("&tag=", ["base", "tools"]),
        ("&number=", ["base", "tools"]),
        ("&tag=tools&tag=base", ["base"]),
    ],
)
def test_a_revert_deletes_the_named_version_and_all_later_ones(selector: str, left: list[str]) -> None:
    """The selector goes by any of its four names; without one the latest version goes."""
    wire, template_id = layered()

    assert wire.do("DELETE", "registry/revert", query=f"id={template_id}{selector}") is None
    assert left == tags(wire, template_id)


@pytest.mark.parametrize("selector", [{"tag": "tools"}, {"number": 1}, {"version": 1}, {"TAG": "tools", "x": []}])
def test_a_revert_may_select_in_a_body(selector: dict[str, Any]) -> None:
    """The registry's own way, a JSON body, selects as well."""
    wire, template_id = layered()
    wire.do("DELETE", "registry/revert", selector, f"id={template_id}")

    assert tags(wire, template_id) == ["base"]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("query", "message"),
    [
        (f"id={NOWHERE}", "Not found"),
        (f"id={TEMPLATE}&tag=nope", "No such tag nope"),
        (f"id={TEMPLATE}&tag_name=nope", "No such tag nope"),
        (f"id={TEMPLATE}&number=7", "No such version 7"),
        (f"id={OTHER_TEMPLATE}", "Cannot revert vanilla: it is the template's only version"),
    ],
)
def test_a_revert_that_cannot_be_changes_nothing(release: str, query: str, message: str) -> None:
    """An unknown template, tag or version, or a template's only version, is refused."""
    wire = office(release)
    before = wire.state()

    assert {"status": "FAIL", "message": message} == wire.ask("DELETE", "registry/revert", query=query)
    assert before == wire.state()


def test_a_distribution_is_followed_by_its_request_id() -> None:
    """A distribution answers with its id alone; asked for, it shows the request and how far each node is."""
    wire = Wire(shipped("default"))
    made = wire.do("POST", "registry/vm/distribute", {"template_id": OTHER_TEMPLATE})
    shown = wire.get("registry/vm/distribute", f"id={made['request_id']}")

    assert list(made) == ["request_id"]
    assert list(shown) == ["request", "distribute_status"]
    assert {
        "request_id": made["request_id"],
        "template_id": OTHER_TEMPLATE,
        "time_requested": "2024-01-01T00:00:00Z",
    } == shown["request"]
    assert list(shown["request"]) == ["request_id", "template_id", "time_requested"]
    assert sorted([NODE, OTHER_NODE]) == list(shown["distribute_status"])
    assert [shown] == wire.get("registry/vm/distribute")


def test_a_distribution_rises_to_one_and_is_done_then() -> None:
    """Each node's progress goes from 0 to 1; its status is true only when it has everything."""
    wire = Wire(shipped("default"))
    made = wire.do("POST", "registry/vm/distribute", {"template_id": OTHER_TEMPLATE, "node_ids": [NODE]})
    seen = []
    for seconds in (0, 1, 32, 31, 2):
        pass_time(wire.controller, seconds)
        seen.append(wire.get("registry/vm/distribute", f"id={made['request_id']}")["distribute_status"])

    expected = [(False, 0), (False, 0), (False, 0.5), (False, 0.9843), (True, 1)]
    assert [{NODE: {"status": done, "progress": progress}} for done, progress in expected] == seen


@pytest.mark.parametrize(
    ("narrowed", "nodes"),
    [
        ({}, [NODE, OTHER_NODE]),
        ({"node_ids": []}, [NODE, OTHER_NODE]),
        ({"node_ids": [OTHER_NODE], "tag": "", "group_id": ""}, [OTHER_NODE]),
        ({"group_id": GROUP}, [NODE]),
        ({"tag": "vanilla", "node_ids": None}, [NODE, OTHER_NODE]),
    ],
)
def test_a_distribution_goes_where_it_is_sent(narrowed: dict[str, Any], nodes: list[str]) -> None:
    """Without nodes or a group a distribution goes to all nodes; blank and null mean not given."""
    wire = Wire(shipped("default"))
    wire.do("POST", "registry/vm/distribute", {"template_id": OTHER_TEMPLATE, **narrowed})

    assert sorted(nodes) == list(wire.get("registry/vm/distribute")[0]["distribute_status"])


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"template_id": NOWHERE}, "VM not in the registry"),
        ({"tag": "nope"}, "No such tag nope"),
        ({"version": 9}, "No such version 9"),
        ({"node_ids": [NODE, NOWHERE]}, f"No such node {NOWHERE}"),
        ({"group_id": NOWHERE}, f"No such group {NOWHERE}"),
    ],
)
def test_a_distribution_of_or_to_the_unknown_is_refused(release: str, changed: dict[str, Any], message: str) -> None:
    """A distribution that leans on something that is not there fails, and none is made."""
    wire = office(release)
    before = wire.state()

    assert {"status": "FAIL", "message": message} == wire.ask(
        "POST", "registry/vm/distribute", {"template_id": TEMPLATE, **changed}
    )
    assert before == wire.state()


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "registry/vm"), ("DELETE", "registry/vm"), ("GET", "registry/vm/distribute")]
)
def test_an_unknown_template_or_distribution_is_not_found(release: str, method: str, path: str) -> None:
    """An id that names nothing fails with Not found and changes nothing."""
    wire = office(release)
    before = wire.state()

    assert wire.ask(method, path, query=f"id={NOWHERE}") == {"status": "FAIL", "message": "Not found"}
    assert before == wire.state()
