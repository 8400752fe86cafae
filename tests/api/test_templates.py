"""Templates: listing, deleting and reverting them, and removing them from nodes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.client import (
    NEW,
    NODE,
    OTHER_NODE,
    OTHER_TEMPLATE,
    RELEASES,
    TEMPLATE,
    UNKNOWN_ID,
    ApiClient,
    api_of,
    default_api,
    get_node,
)
from tests.controllers import pass_time

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


def tags(api: ApiClient, template_id: str) -> list[str]:
    """Return the tags of a template's versions."""
    return [version["tag"] for version in api.get("registry/vm", f"id={template_id}")["versions"]]


def layered() -> tuple[ApiClient, str]:
    """Return a client of a controller with a template of three versions, and the template's id."""
    api = api_of(LAYERS)
    return api, api.get("registry/vm")[0]["id"]


def test_a_template_in_the_list_has_id_name_and_size() -> None:
    """An item of the list has these three keys in this order; templates are listed in order of creation."""
    templates = default_api().get("registry/vm")

    assert [list(template) for template in templates] == [["id", "name", "size"]] * 2
    assert [template["id"] for template in templates] == [TEMPLATE, OTHER_TEMPLATE]


def test_without_templates_the_list_is_empty() -> None:
    """Without templates the list is an empty array."""
    assert api_of("{}").get("registry/vm") == []


@pytest.mark.parametrize(("release", "size"), [("1.8.0", True), ("1.27.0", True), ("1.28.0", False), (NEW, False)])
def test_the_short_list_of_templates_came_with_1_28(release: str, size: bool) -> None:
    """Before 1.28 apiVer=v1 is ignored; from then on it selects a list without sizes."""
    api = default_api(release)
    plain, short = api.get("registry/vm"), api.get("registry/vm", "apiVer=v1")

    assert size == (plain == short)
    assert [size] * 2 == ["size" in template for template in short]


def test_a_template_by_id_has_its_versions_and_no_size() -> None:
    """A template by id has its versions, oldest first, each with these keys in this order, and no size."""
    api, template_id = layered()
    template = api.get("registry/vm", f"id={template_id}")

    assert list(template) == ["id", "name", "versions"]
    assert [list(version) for version in template["versions"]] == [VERSION] * 3
    assert [(version["number"], version["tag"], version["description"]) for version in template["versions"]] == [
        (0, "base", "bare"),
        (1, "tools", ""),
        (2, "asleep", ""),
    ]


def test_files_are_named_as_the_registry_names_them() -> None:
    """The configuration file is named after the template, images are newest first, state files are optional."""
    api, template_id = layered()
    base, tools, asleep = api.get("registry/vm", f"id={template_id}")["versions"]

    assert {(f"{template_id}.yaml", "nvram")} == {
        (version["config_file"], version["nvram"]) for version in (base, tools, asleep)
    }
    assert [tools["images"], tools["images"][1:]] == [asleep["images"][1:], base["images"]]
    assert (base["state_files"], base["state_file"]) == ([], "")
    assert asleep["state_files"] == [asleep["state_file"]]
    assert all(len(name) == 36 and name.endswith(".ank") for name in [*asleep["images"], asleep["state_file"]])


def test_the_size_of_a_template_counts_shared_layers_once() -> None:
    """A layer that versions share counts once in the template, and in each of the versions."""
    api, template_id = layered()
    gb = 10**9

    assert [16 * gb, 0] == [template["size"] for template in api.get("registry/vm")]
    assert [10 * gb, 13 * gb, 16 * gb] == [
        version["size"] for version in api.get("registry/vm", f"id={template_id}")["versions"]
    ]


def test_a_deleted_template_is_gone() -> None:
    """A deleted template is not listed, not found and cannot be started; running instances of it run on."""
    api = default_api()
    api.perform("DELETE", "registry/vm", query=f"id={TEMPLATE}")

    assert [template["id"] for template in api.get("registry/vm")] == [OTHER_TEMPLATE]
    assert [
        api.envelope("GET", "registry/vm", query=f"id={TEMPLATE}")["message"],
        api.envelope("POST", "vm", {"vmid": TEMPLATE})["message"],
    ] == ["Not found", "VM not in the registry"]
    assert [item["vm"]["instance_state"] for item in api.get("vm")] == ["Started"]


@pytest.mark.parametrize(
    ("selector", "left"),
    [
        ("", ["base", "tools"]),
        ("&tag=asleep", ["base", "tools"]),
        ("&tag=tools", ["base"]),
        ("&tag_name=tools", ["base"]),
        ("&number=1", ["base"]),
        ("&version=1", ["base"]),
        ("&number=001", ["base"]),
        ("&tag=", ["base", "tools"]),
        ("&number=", ["base", "tools"]),
        ("&tag=tools&tag=base", ["base"]),
    ],
)
def test_a_revert_deletes_the_named_version_and_all_later_ones(selector: str, left: list[str]) -> None:
    """The selector has any of four names; without one the latest version is deleted."""
    api, template_id = layered()

    assert api.perform("DELETE", "registry/revert", query=f"id={template_id}{selector}") is None
    assert left == tags(api, template_id)


@pytest.mark.parametrize("selector", [{"tag": "tools"}, {"number": 1}, {"version": 1}, {"TAG": "tools", "x": []}])
def test_a_revert_may_select_in_a_body(selector: dict[str, Any]) -> None:
    """A JSON body, which is what the registry itself takes, selects as well."""
    api, template_id = layered()
    api.perform("DELETE", "registry/revert", selector, f"id={template_id}")

    assert tags(api, template_id) == ["base"]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    "query", [f"id={TEMPLATE}&number=0", f"id={TEMPLATE}&tag=vanilla", f"id={OTHER_TEMPLATE}"], ids=lambda query: query
)
def test_a_revert_that_leaves_no_version_deletes_the_template(release: str, query: str) -> None:
    """A revert of version 0, or of the only version, is OK; then the template is neither listed nor found."""
    api = default_api(release)
    template_id = query.removeprefix("id=").partition("&")[0]

    assert api.perform("DELETE", "registry/revert", query=query) is None
    assert template_id not in [template["id"] for template in api.get("registry/vm")]
    assert {"status": "FAIL", "message": "Not found"} == api.envelope("GET", "registry/vm", query=f"id={template_id}")


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("query", "message"),
    [
        (f"id={UNKNOWN_ID}", "Not found"),
        (f"id={TEMPLATE}&tag=nope", "Did not find any versions with tag nope"),
        (f"id={TEMPLATE}&tag_name=nope", "Did not find any versions with tag nope"),
        (f"id={TEMPLATE}&tag=a+b", "Did not find any versions with tag a b"),
        (f"id={TEMPLATE}&number=7", "No such version 7"),
    ],
)
def test_an_impossible_revert_is_refused(release: str, query: str, message: str) -> None:
    """An unknown template, tag or version is refused, and nothing changes."""
    api = default_api(release)
    before = api.dump()

    assert {"status": "FAIL", "message": message} == api.envelope("DELETE", "registry/revert", query=query)
    assert before == api.dump()


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_template_is_not_found(release: str, method: str) -> None:
    """Requests for a template that does not exist fail with Not found and change nothing."""
    api = default_api(release)
    before = api.dump()

    assert api.envelope(method, "registry/vm", query=f"id={UNKNOWN_ID}") == {"status": "FAIL", "message": "Not found"}
    assert before == api.dump()


def test_only_the_api_version_v1_selects_the_short_list() -> None:
    """With apiVer=v1 an item has these four keys; any other value is ignored."""
    api = default_api(NEW)

    assert ["id", "name", "last_pull", "last_push"] == list(api.get("registry/vm", "apiVer=v1")[0])
    assert "size" in api.get("registry/vm", "apiVer=v2")[0]


@pytest.mark.parametrize(
    ("query", "body", "node_ids"),
    [
        (f"id={TEMPLATE}", None, [NODE, OTHER_NODE]),
        (f"id={TEMPLATE}", b"", [NODE, OTHER_NODE]),
        (f"id={TEMPLATE}", b"{}", [NODE, OTHER_NODE]),
        (f"id={TEMPLATE}", json.dumps({"node_ids": [OTHER_NODE]}).encode(), [OTHER_NODE]),
        (f"id={OTHER_TEMPLATE}", None, []),
    ],
)
def test_a_removal_answers_with_the_nodes_that_it_was_sent_to(
    query: str, body: bytes | None, node_ids: list[str]
) -> None:
    """The response has the number of requests and the ids of their nodes; the body is optional."""
    api = default_api(NEW)
    envelope = json.loads(api.send("DELETE", "registry/vm/remove", body, query).data)

    assert {"requests_sent": len(node_ids), "node_ids": node_ids} == envelope["body"]
    assert ["requests_sent", "node_ids"] == list(envelope["body"])


def test_a_removed_template_leaves_the_nodes() -> None:
    """A node no longer has a removed template, and has its disk space back; the registry keeps it."""
    api = default_api(NEW)
    before = get_node(api, OTHER_NODE)
    api.perform("DELETE", "registry/vm/remove", query=f"id={TEMPLATE}")
    pass_time(api.controller, 2)
    after = get_node(api, OTHER_NODE)

    assert [TEMPLATE] == sorted({template["uuid"] for template in before["templates"]})
    assert ([], True) == (after["templates"], before["free_disk_space"] < after["free_disk_space"])
    assert TEMPLATE in [template["id"] for template in api.get("registry/vm")]


@pytest.mark.parametrize(
    ("query", "body", "message"),
    [
        ("", None, "invalid request: query parameter id is required"),
        (f"id={UNKNOWN_ID}", None, "Not found"),
        (f"id={TEMPLATE}", {"node_ids": [UNKNOWN_ID]}, f"No such node {UNKNOWN_ID}"),
        (
            f"id={TEMPLATE}",
            {"node_ids": NODE},
            "json: cannot unmarshal string into Go struct field RemovalBody.node_ids",
        ),
    ],
)
def test_an_impossible_removal_is_refused(query: str, body: object, message: str) -> None:
    """A missing or unknown id, or wrong node ids, are refused with the reason, and nothing changes."""
    api = default_api(NEW)
    before = api.dump()
    envelope = api.envelope("DELETE", "registry/vm/remove", body, query)

    assert "FAIL" == envelope["status"]
    assert envelope["message"].startswith(message)
    assert before == api.dump()
