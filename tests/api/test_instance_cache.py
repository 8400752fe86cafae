"""The cache of responses to polls: what it returns is what would be rendered anew."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mockanka.api.app import create_app
from mockanka.core import nodes
from mockanka.core.release import Release
from mockanka.units import format_moment
from tests.api.client import (
    GROUP,
    INSTANCE,
    NEW,
    NODE,
    OTHER_NODE,
    OTHER_TEMPLATE,
    RELEASES,
    TEMPLATE,
    UNKNOWN_ID,
    ApiClient,
    default_api,
)
from tests.controllers import pass_time, shipped


def check_cache(api: ApiClient) -> None:
    """Check that the cached responses are those of the route, and of an application without cached responses."""
    fresh = create_app(api.controller)
    for instance_id in ("", *api.controller.instances):
        query = f"id={instance_id}" if instance_id else ""
        api.controller.advance()
        cached = api.app.instance_cache.find_response(query.encode())
        expected = fresh.test_client().get("/api/v1/vm", query_string=query).data

        assert expected == cached
        assert expected == api.send("GET", "vm", query=query).data


def start_instance(api: ApiClient) -> None:
    api.start(vmid=TEMPLATE, name="another")


def start_with_pull(api: ApiClient) -> None:
    api.perform("POST", "vm", {"vmid": OTHER_TEMPLATE, "count": 2, "external_id": "e"})


def update(api: ApiClient) -> None:
    for instance_id in api.controller.instances:
        api.perform("PUT", "vm", {"name": f"n{api.controller.revision}", "metadata": {"a": 1}}, f"id={instance_id}")


def terminate(api: ApiClient) -> None:
    api.perform("DELETE", "vm", {"id": next(iter(api.controller.instances), UNKNOWN_ID)})


def terminate_last(api: ApiClient) -> None:
    api.perform("DELETE", "vm", {"id": list(api.controller.instances)[-1]})


def save(api: ApiClient) -> None:
    api.perform("POST", "image", {"id": INSTANCE, "new_template_name": "saved"})


def configure(api: ApiClient) -> None:
    api.perform("POST", "node/config", {"node_id": NODE, "host": "10.7.7.7"})


def lose_node(api: ApiClient) -> None:
    nodes.lose_node(api.controller, NODE)


def lose_other_node(api: ApiClient) -> None:
    nodes.lose_node(api.controller, OTHER_NODE)


def restore_nodes(api: ApiClient) -> None:
    for node_id in (NODE, OTHER_NODE):
        nodes.restore_node(api.controller, node_id)


def delete_node(api: ApiClient) -> None:
    api.perform("DELETE", "node", {"node_id": NODE})


def delete_template(api: ApiClient) -> None:
    api.perform("DELETE", "registry/vm", query=f"id={OTHER_TEMPLATE}")


def revert(api: ApiClient) -> None:
    api.perform("DELETE", "registry/revert", query=f"id={TEMPLATE}&number=0")


def delete_group(api: ApiClient) -> None:
    api.perform("DELETE", "group", query=f"id={GROUP}")


def reset(api: ApiClient) -> None:
    api.controller.replace_with(shipped("default", release=api.controller.release))


def reset_to_newest(api: ApiClient) -> None:
    api.controller.replace_with(shipped("default", release=Release.parse(NEW)))


SCENARIOS: dict[str, list[Callable[[ApiClient], None] | float]] = {
    "a heartbeat": [1.0, 1.0, 1.0, 2.0, 5.0, 4.999, 0.001, 0.000000001],
    "a boot": [start_instance, 0.0, 0.5, 0.5, 1.0, 18.0, 3.0, 5.0, terminate_last, 1.0, 5.0, 54.0, 10.0],
    "a pull": [start_with_pull, 1.0, 0.001, 0.001, 10.0, 30.0, 24.0, 1.0, 20.0, 5.0, 5.0],
    "an update": [update, 1.0, start_instance, update, 0.0, update, 1.0],
    "an aborted pull": [start_with_pull, 10.0, terminate_last, 1.0, terminate, 2.0, 30.0, 60.0],
    "another address of a node": [configure, 1.0, configure, 5.0],
    "a save": [save, 1.0, 3.0, 5.0, 10.0, 20.0, 60.0],
    "a lost node while started": [lose_node, 1.0, 4.0, 5.0, 60.0, restore_nodes, 0.0, 1.0, 4.0, 5.0],
    "lost nodes while pulling": [
        start_with_pull,
        10.0,
        lose_node,
        lose_other_node,
        1.0,
        5.0,
        60.0,
        restore_nodes,
        1.0,
        5.0,
        30.0,
    ],
    "a node that is lost until it is Offline": [
        start_with_pull,
        10.0,
        lose_node,
        60.0,
        70.0,
        5.0,
        restore_nodes,
        5.0,
        5.0,
    ],
    "a lost node while terminating": [terminate, 1.0, lose_node, 10.0, 5.0, restore_nodes, 1.0, 60.0],
    "a deleted node": [start_with_pull, 2.0, delete_node, 1.0, 5.0, terminate, 1.0, 60.0],
    "a deleted template": [start_with_pull, delete_template, 2.0, revert, 5.0],
    "a deleted group": [start_instance, delete_group, 5.0],
    "a reset": [start_instance, 30.0, update, reset, 0.0, start_instance, 3.0, reset, 5.0, update, 1.0],
    "a reset to another release": [start_instance, 30.0, reset_to_newest, 0.0, start_instance, 5.0],
}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_cached_responses_are_always_current(release: str, scenario: str) -> None:
    """After every step of a scenario the cached responses are what would be rendered anew."""
    api = ApiClient(shipped("default", release=Release.parse(release)))
    check_cache(api)
    for step in SCENARIOS[scenario]:
        if isinstance(step, float):
            pass_time(api.controller, step)
        else:
            step(api)
        check_cache(api)


def test_the_cache_has_no_response_to_other_queries() -> None:
    """There is none for an unknown id, an escaped id, or any other query."""
    api = default_api()
    queries = [UNKNOWN_ID, INSTANCE + "&x=1", INSTANCE.replace("-", "%2d"), "", "é"]

    assert [None] * len(queries) == [api.app.instance_cache.find_response(f"id={query}".encode()) for query in queries]
    assert api.app.instance_cache.find_response(b"ID=1") is None


def test_a_response_is_rendered_once_while_nothing_changes() -> None:
    """While nothing changes the very same bytes are returned."""
    responses = default_api().app.instance_cache

    assert responses.find_response(b"") is responses.find_response(b"")
    assert responses.find_response(f"id={INSTANCE}".encode()) is responses.find_response(f"id={INSTANCE}".encode())


def test_a_cached_response_is_outdated_at_the_next_heartbeat() -> None:
    """At the very time of the heartbeat ts is that time."""
    api = default_api()
    pass_time(api.controller, 30)
    before = api.get("vm", f"id={INSTANCE}")["ts"]
    controller = api.controller
    heartbeat = controller.nodes[NODE].heartbeat(controller) + controller.timings.heartbeat
    controller.clock.advance(heartbeat - controller.clock.now())
    after = api.get("vm", f"id={INSTANCE}")["ts"]

    assert before != after
    assert format_moment(heartbeat) == after


def test_cached_responses_of_forgotten_instances_are_dropped() -> None:
    """Responses of thousands of forgotten instances do not fill the memory."""
    api = default_api()
    for _ in range(4):
        api.perform("POST", "vm", {"vmid": TEMPLATE, "count": 200})
        api.get("vm")
        for instance_id in list(api.controller.instances):
            api.perform("DELETE", "vm", {"id": instance_id})
        pass_time(api.controller, 120)
        check_cache(api)

    assert len(api.app.instance_cache._instances) < 400
