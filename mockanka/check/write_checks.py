"""Checks that create an instance and a group, and requests that have to be rejected. All objects are removed again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from mockanka.check.cleanup import Cleanup
from mockanka.check.generated import generated_updates
from mockanka.check.item_checks import object_at, objects_in
from mockanka.check.read_checks import Item, check_node_counters, check_unknown_id
from mockanka.check.session import Session
from mockanka.check.transitions import INITIAL_STATES, TERMINATION_STATES
from mockanka.contract.exchange import JSON_TYPE, Exchange
from mockanka.contract.paths import (
    DISTRIBUTIONS_PATH,
    GROUPS_PATH,
    IMAGES_PATH,
    INSTANCES_PATH,
    NODE_CONFIG_PATH,
    NODE_GROUPS_PATH,
    NODES_PATH,
    NOT_FOUND_MESSAGE,
    REMOVALS_PATH,
    RESTART_PATH,
    REVERT_PATH,
    STATUS_PATH,
    TEMPLATES_PATH,
)
from mockanka.remote.client import ControllerClient, ControllerError, id_query

WAITING_STATES = ("Scheduling", "Pulling")
"""States of an instance from which it can still become Started."""
STOP_STATES = ("Stopping", "Stopped")
"""States of an instance whose VM has shut down by itself."""
GROUP_DESCRIPTION = "made by a check"


@dataclass(frozen=True)
class WriteTarget:
    """The ids of the template and the node to use, and the tag."""

    template: str
    tag: str | None = None
    node: str | None = None


def find_write_target(client: ControllerClient, template: str, tag: str | None, node: str | None) -> WriteTarget:
    """Look up names or ids. ControllerError, with the existing names, if something does not exist."""
    template_id = _find_id(client, TEMPLATES_PATH, "template", "id", "name", template)
    if tag is not None:
        body = client.get_body(TEMPLATES_PATH, id_query(template_id))
        versions = body.get("versions") if isinstance(body, dict) else None
        tags = [str(version.get("tag")) for version in objects_in(versions)]
        if tag not in tags:
            raise ControllerError(f"--tag: template {template} has no tag {tag}; it has {_join_names(tags)}")
    node_id = None if node is None else _find_id(client, NODES_PATH, "node", "node_id", "node_name", node)
    return WriteTarget(template_id, tag, node_id)


def _find_id(client: ControllerClient, path: str, kind: str, id_key: str, name_key: str, name: str) -> str:
    items = [item for item in objects_in(client.get_body(path)) if isinstance(item.get(id_key), str)]
    ids = [item[id_key] for item in items if item.get(id_key) == name]
    ids = ids or [item[id_key] for item in items if item.get(name_key) == name]
    if not ids:
        names = _join_names([str(item.get(name_key)) for item in items])
        raise ControllerError(f"--{kind}: there is no {kind} {name} at {client.url}; there is {names}")
    if len(ids) > 1:
        raise ControllerError(f"--{kind}: {name} is the name of several; give the id of one: {_join_names(ids)}")
    return str(ids[0])


def _join_names(names: list[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more if names else "none"


class WriteChecks:
    """The checks that create objects. ``generated`` is the number of updates that schemathesis generates."""

    def __init__(self, session: Session, target: WriteTarget, cleanup: Cleanup, generated: int = 0) -> None:
        self.session, self.target, self.cleanup, self.generated = session, target, cleanup, generated
        self.instance_id: str | None = None
        """Our instance, once it is created."""
        self.group_id: str | None = None
        """Our group, once it is created."""
        self.is_started = False

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """Return the steps in their order, each with a name for the progress display."""
        return [
            ("requests to be rejected", self._check_rejections),
            ("a group", self._create_group),
            ("a start", self._start),
            ("updates", self._update_instance),
            *([("generated updates", self._send_generated_updates)] if self.generated else []),
            ("waiting for Started", self._wait_for_start),
            ("a restart", self._restart),
            ("two terminations", self._terminate),
            ("waiting until it is gone", self._wait_until_gone),
            ("deletion of the group", self._delete_group),
        ]

    # ---- rejections ------------------------------------------------------------------------------------------------

    def _check_rejections(self) -> None:
        session, tag, mark = self.session, f"no-{uuid4().hex[:8]}", self.cleanup.mark
        self._check_rejected_start({"vmid": str(uuid4())}, "VM not in the registry")
        self._check_rejected_start({"vmid": self.target.template, "tag": tag}, f"No such tag {tag}")
        for malformed in (b"{", b"[]", b""):
            self._check_rejected_start(malformed, None)
        requests: list[tuple[str, str, str, dict[str, Any] | None]] = [
            ("PUT", INSTANCES_PATH, "id=*", {"name": mark}),
            ("DELETE", INSTANCES_PATH, "", {"id": ...}),
            ("POST", RESTART_PATH, "", {"instance_id": ...}),
            ("POST", IMAGES_PATH, "", {"id": ..., "new_template_name": mark}),
            ("DELETE", NODES_PATH, "", {"node_id": ...}),
            ("POST", NODE_CONFIG_PATH, "", {"node_id": ...}),
            ("DELETE", TEMPLATES_PATH, "id=*", None),
            ("DELETE", REMOVALS_PATH, "id=*", None),
            ("DELETE", REVERT_PATH, "id=*", None),
            ("DELETE", DISTRIBUTIONS_PATH, "id=*", None),
            ("PUT", GROUPS_PATH, "id=*", {"name": mark}),
            ("DELETE", GROUPS_PATH, "id=*", None),
        ]
        for method, path, query, body in requests:
            if session.has_operation(method, path):
                check_unknown_id(session, method, path, query, body)

    def _check_rejected_start(self, body: Any, message: str | None) -> None:
        exchange = self._post_start(body)
        if self.session.skip_if_denied(exchange, "refused"):
            return
        text = "accepts a start that is impossible"
        if self.session.claim("refused", "startVms", not exchange.succeeded, text) and message is not None:
            text = f"the message is {exchange.message!r}, not {message!r}"
            self.session.claim("message", "startVms", exchange.message == message, text)

    def _post_start(self, body: Any) -> Exchange:
        """Send a start; all its instances will be removed, also if it should have been rejected."""
        if isinstance(body, dict):
            body = {**body, "name": self.cleanup.mark, "external_id": self.cleanup.mark}
        with self.cleanup.creation(INSTANCES_PATH, self.cleanup.instances) as finish:
            return finish(self.session.request("POST", INSTANCES_PATH, body=body))

    # ---- an instance -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        session, target = self.session, self.target
        fields = {"vmid": target.template, "tag": target.tag, "node_id": target.node}
        exchange = self._post_start({key: value for key, value in fields.items() if value is not None})
        if session.skip_if_denied(exchange, "made"):
            return
        ids = exchange.body if isinstance(exchange.body, list) else []
        text = f"a start returns {len(ids)} ids" if exchange.succeeded else f"fails: {exchange.message}"
        if not session.claim("made", "startVms", len(ids) == 1 and isinstance(ids[0], str), text):
            return
        id = self.instance_id = ids[0]
        single = session.get(INSTANCES_PATH, id)
        session.claim("at-once", "startVms", single.succeeded, f"{id} is not found by its id: {single.message}")
        item = self._listed_instance()
        if not session.claim("at-once", "startVms", item is not None, f"{id} is not in the list") or item is None:
            return
        vm = object_at(item, "vm")
        state = str(vm.get("instance_state"))
        session.claim("first-state", "startVms", state in INITIAL_STATES, f"{id} begins in {state}")
        self._check_labels("startVms", self.cleanup.mark, self.cleanup.mark, "labels")
        template, tag = vm.get("vmid"), vm.get("tag")
        text = f"the template is {template}, not {target.template}"
        session.claim("placed", "startVms", template == target.template, text)
        if target.tag is not None:
            session.claim("placed", "startVms", tag == target.tag, f"the tag is {tag}, not {target.tag}")

    def _listed_instance(self) -> Item | None:
        """Return the item of our instance in the list."""
        items = self.session.list_items(INSTANCES_PATH)
        return next((item for item in items if item.get("instance_id") == self.instance_id), None)

    def _single_instance(self) -> Item:
        """Return the response for our instance's id; empty if it is not found."""
        body = self.session.get(INSTANCES_PATH, self.instance_id).body
        return body if isinstance(body, dict) else {}

    def _check_labels(self, operation: str, name: str, external_id: str, check: str) -> None:
        """Check name and external id in the list and, where the release has them there, in the single instance."""
        instances = [self._listed_instance() or {}]
        if self.session.contract.release.has("instance-tells-its-names"):
            instances.append(self._single_instance())
        for instance in instances:
            for key, expected in (("name", name), ("external_id", external_id)):
                text = f"{key} is {instance.get(key)!r}, not {expected!r}"
                self.session.claim(check, operation, instance.get(key) == expected, text)

    def _put_instance(self, body: Any, check: str, content_type: str | None = JSON_TYPE) -> bool:
        query = id_query(self.instance_id or "")
        exchange = self.session.request("PUT", INSTANCES_PATH, query, body, content_type)
        if self.session.skip_if_denied(exchange, check):
            return False
        text = f"an update fails: {exchange.message or exchange.status}"
        return self.session.claim(check, "updateVm", exchange.succeeded, text)

    def _update_instance(self) -> None:
        if self.instance_id is None:
            return self._skip("updateVm", "partial", "any-content-type", "unknown-field", "merged")
        mark = self.cleanup.mark
        if self._put_instance({"name": f"{mark}-2"}, "partial"):
            self._check_labels("updateVm", f"{mark}-2", mark, "partial")
        if self._put_instance({"external_id": f"{mark}-2"}, "partial"):
            self._check_labels("updateVm", f"{mark}-2", f"{mark}-2", "partial")
        for number, content_type in enumerate((None, "text/plain", "application/x-www-form-urlencoded"), 3):
            body = f'{{"name":"{mark}-{number}"}}'.encode()
            if self._put_instance(body, "any-content-type", content_type):
                self._check_labels("updateVm", f"{mark}-{number}", f"{mark}-2", "any-content-type")
        self._put_instance({"name": mark, "no_such_field": {"a": [1]}}, "unknown-field")
        first, second = {"metadata": {"a": "x", "b": 1}}, {"metadata": {"b": 2}}
        if self._put_instance(first, "partial") and self._put_instance(second, "partial"):
            metadata = self._single_instance().get("metadata")
            is_merged = metadata == {"a": "x", "b": 2}
            self.session.claim("merged", "updateVm", is_merged, f"metadata is {metadata}", "$.body.metadata")
        return None

    def _send_generated_updates(self) -> None:
        """Send bodies from schemathesis with our names added, by which instance and group are found again."""
        for path, id, keys in (
            (INSTANCES_PATH, self.instance_id, ("name", "external_id")),
            (GROUPS_PATH, self.group_id, ("name",)),
        ):
            if id is None:
                continue
            for body in generated_updates(self.session.contract.document, path, self.generated):
                kept = {key: value for key, value in body.items() if key.casefold() not in keys}
                marked = kept | dict.fromkeys(keys, self.cleanup.mark)
                self.session.request("PUT", path, id_query(id), marked)

    def _wait_for_start(self) -> None:
        session, timeout = self.session, self.session.pace.start_timeout
        if self.instance_id is None:
            return self._skip("startVms", "started")
        session.poll_until(lambda: self._state() not in WAITING_STATES, timeout)
        state = self._state()
        if state in WAITING_STATES:
            reason = f"it is {state} after {timeout:g} s: no free node, or a long pull; --start-timeout waits longer"
            return self._skip("startVms", "started", reason=reason)
        if session.is_unanswered:
            return self._skip("startVms", "started", reason="no response")
        instance = session.monitor.instances.get(self.instance_id, {})
        text = f"it is {state or 'unknown'}: {instance.get('message', 'no message')}"
        self.is_started = session.claim("started", "startVms", state == "Started", text)
        if self.is_started:
            if self.target.node is not None:
                node = instance.get("node_id")
                text = f"it runs on {node}, not {self.target.node}"
                session.claim("placed", "startVms", node == self.target.node, text)
            check_node_counters(session)
        return None

    def _state(self) -> str | None:
        """Request the state of our instance; None if it is not found."""
        body = self.session.get(INSTANCES_PATH, self.instance_id).body
        return str(body.get("instance_state")) if isinstance(body, dict) else None

    def _restart(self) -> None:
        session = self.session
        if not session.has_operation("POST", RESTART_PATH):
            return None
        if self.instance_id is None or not self.is_started:
            return self._skip("restartVm", "restarted")
        before = self._start_date()
        session.sleep(1.0)  # start dates have whole seconds
        exchange = session.request("POST", RESTART_PATH, body={"instance_id": self.instance_id})
        if session.skip_if_denied(exchange, "restarted"):
            return None
        if session.claim("restarted", "restartVm", exchange.succeeded, f"fails: {exchange.message}"):
            session.poll_until(lambda: self._has_restarted(before), session.pace.end_timeout)
            after, state = self._start_date(), self._state()
            text = f"it is {state}, and start_date was {before} and is {after}"
            session.claim("restarted", "restartVm", state == "Started" and after not in (before, None), text)
        return None

    def _has_restarted(self, before: Any) -> bool:
        """Return whether our instance has another start date and is Started, or will never be."""
        instance = self._single_instance()
        state, date = instance.get("instance_state"), object_at(instance, "vminfo").get("start_date")
        return (date not in (before, None) and state == "Started") or state in (*STOP_STATES, *TERMINATION_STATES)

    def _start_date(self) -> Any:
        return object_at(self._single_instance(), "vminfo").get("start_date")

    def _terminate(self) -> None:
        session = self.session
        if self.instance_id is None:
            return self._skip("terminateVm", "terminated", "terminating", "gone")
        for ordinal in ("first", "second"):
            exchange = session.request("DELETE", INSTANCES_PATH, body={"id": self.instance_id})
            if session.skip_if_denied(exchange, "terminated"):
                return None
            if exchange.succeeded:
                self.cleanup.terminated.add(self.instance_id)
            text = f"the {ordinal} termination fails: {exchange.message}"
            session.claim("terminated", "terminateVm", exchange.succeeded, text)
        single = session.get(INSTANCES_PATH, self.instance_id)
        state = str(single.body.get("instance_state")) if isinstance(single.body, dict) else None
        is_unknown = not single.succeeded and single.message == NOT_FOUND_MESSAGE
        text = f"it is {state or single.message} after its termination"
        session.claim("terminating", "terminateVm", state in TERMINATION_STATES or is_unknown, text)
        return None

    def _wait_until_gone(self) -> None:
        session, timeout = self.session, self.session.pace.end_timeout
        if self.instance_id is None:
            return
        states: set[str | None] = set()

        def is_gone() -> bool:
            state = self._state()
            states.add(state)
            return state is None

        session.poll_until(is_gone, timeout)
        others = sorted(str(state) for state in states if state not in (*TERMINATION_STATES, None))
        session.claim("terminating", "terminateVm", not others, f"it is {', '.join(others)} after its termination")
        session.claim("gone", "terminateVm", None in states, f"it still exists after {timeout:g} s")
        if None in states:
            item = self._listed_instance()
            session.claim("deleted", "terminateVm", item is None, "it is listed, but not found by its id")

    def _skip(self, operation: str, *checks: str, reason: str = "there is no instance") -> None:
        for check in checks:
            self.session.results.add_skip(check, operation, reason)

    # ---- a group ---------------------------------------------------------------------------------------------------

    def _create_group(self) -> None:
        session, mark = self.session, self.cleanup.mark
        status = session.get(STATUS_PATH).body
        if isinstance(status, dict) and status.get("license") == "basic":
            return self._skip("createGroup", "made", "any-content-type", reason="the licence is basic")
        body = f'{{"name":"{mark}","description":"{GROUP_DESCRIPTION}"}}'.encode()
        exchange = self._post_group(body, None)
        if session.skip_if_denied(exchange, "made"):
            return None
        if not session.claim("any-content-type", "createGroup", exchange.succeeded, f"fails: {exchange.message}"):
            exchange = self._post_group(body, JSON_TYPE)
        group = exchange.body if isinstance(exchange.body, dict) else {}
        id = group.get("id")
        if not session.claim("made", "createGroup", isinstance(id, str), f"no id: {exchange.message}", "$.body.id"):
            return None
        self.group_id = str(id)
        self._check_group("createGroup", "at-once", mark, GROUP_DESCRIPTION)
        self._update_group({"name": f"{mark}-2"}, f"{mark}-2", GROUP_DESCRIPTION)
        self._update_group({"description": "changed"}, f"{mark}-2", "changed")
        if self.target.node is not None:
            self._check_membership(self.target.node)
        return None

    def _post_group(self, body: bytes, content_type: str | None) -> Exchange:
        with self.cleanup.creation(GROUPS_PATH, self.cleanup.groups) as finish:
            return finish(self.session.request("POST", GROUPS_PATH, body=body, content_type=content_type))

    def _listed_group(self) -> Item | None:
        """Return our group in the list."""
        groups = self.session.list_items(GROUPS_PATH)
        return next((group for group in groups if group.get("id") == self.group_id), None)

    def _check_group(self, operation: str, check: str, name: str, description: str) -> None:
        session, group = self.session, self._listed_group()
        text = f"group {self.group_id} is not listed"
        if session.claim(check, operation, group is not None, text) and group is not None:
            actual = group.get("name"), group.get("description")
            text = f"name and description are {actual}, not {(name, description)}"
            label_check = check if operation == "updateGroup" else "labels"
            session.claim(label_check, operation, actual == (name, description), text)

    def _update_group(self, body: dict[str, str], name: str, description: str) -> None:
        exchange = self.session.request("PUT", GROUPS_PATH, id_query(self.group_id or ""), body)
        if not self.session.skip_if_denied(exchange, "partial"):
            self.session.claim("partial", "updateGroup", exchange.succeeded, f"fails: {exchange.message}")
            self._check_group("updateGroup", "partial", name, description)

    def _check_membership(self, node_id: str) -> None:
        """Add the node to our own group only, and remove it again."""
        session, body = self.session, {"group_ids": [self.group_id], "node_ids": [node_id]}
        for method, is_member in (("POST", True), ("DELETE", False)):
            operation = session.operation_id(method, NODE_GROUPS_PATH)
            exchange = session.request(method, NODE_GROUPS_PATH, body=body)
            if session.skip_if_denied(exchange, "member"):
                continue
            session.claim("member", operation, exchange.succeeded, f"fails: {exchange.message}")
            group_ids = [group.get("id") for group in objects_in(self._single_node(node_id).get("groups"))]
            text = f"node {node_id} is {'not ' if is_member else ''}in group {self.group_id}"
            session.claim("member", operation, (self.group_id in group_ids) is is_member, text)

    def _single_node(self, node_id: str) -> Item:
        """Return the node in the response for its id, which is a list; empty if there is none."""
        nodes = objects_in(self.session.get(NODES_PATH, node_id).body)
        return nodes[0] if nodes else {}

    def _delete_group(self) -> None:
        session = self.session
        if self.group_id is None:
            return
        query = id_query(self.group_id)
        exchange = session.request("DELETE", GROUPS_PATH, query)
        if session.skip_if_denied(exchange, "deleted"):
            return
        session.claim("deleted", "deleteGroup", exchange.succeeded, f"fails: {exchange.message}")
        is_listed = self._listed_group() is not None
        session.claim("deleted", "deleteGroup", not is_listed, f"group {self.group_id} is still listed")
        if exchange.succeeded and not is_listed:
            self.cleanup.groups.discard(self.group_id)
        second = session.request("DELETE", GROUPS_PATH, query)
        session.claim("unknown-id", "deleteGroup", not second.succeeded, "succeeds for a group that is deleted")
