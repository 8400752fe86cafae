"""What is checked by making things: one instance, one group, and what is refused. All of it is removed again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from mockanka.check.cleanup import GROUPS, Leftovers
from mockanka.check.consistency import INSTANCES
from mockanka.check.generated import updates
from mockanka.check.read_checks import NODES, NOT_FOUND, TEMPLATES, check_unknown, counters
from mockanka.check.session import Run
from mockanka.check.transitions import ENDING, FIRST
from mockanka.contract.exchange import Exchange
from mockanka.remote.client import Remote, Unusable

RESTART = "/api/v1/rpc/vm/restart"
MEMBERS = "/api/v1/node/group"


@dataclass(frozen=True)
class Target:
    """What the user lets us use: a template, a tag of it, a node."""

    template: str
    tag: str | None = None
    node: str | None = None


def find_target(remote: Remote, template: str, tag: str | None, node: str | None) -> Target:
    """Names or ids turned into ids; Unusable with what there is if something is not there."""
    template_id = _find(remote, TEMPLATES, "template", "id", "name", template)
    if tag is not None:
        found = remote.read(TEMPLATES, f"id={quote(template_id, safe='')}")
        versions = found.get("versions") if isinstance(found, dict) else None
        tags = [str(each.get("tag")) for each in versions or () if isinstance(each, dict)]
        if tag not in tags:
            raise Unusable(f"--tag: template {template} has no tag {tag}; it has {_told(tags)}")
    node_id = None if node is None else _find(remote, NODES, "node", "node_id", "node_name", node)
    return Target(template_id, tag, node_id)


def _find(remote: Remote, path: str, kind: str, id_key: str, name_key: str, wanted: str) -> str:
    things = [each for each in remote.read(path) or () if isinstance(each, dict)]
    found = [each[id_key] for each in things if each.get(id_key) == wanted]
    found = found or [each[id_key] for each in things if each.get(name_key) == wanted]
    if not found:
        there = _told([str(each.get(name_key)) for each in things])
        raise Unusable(f"--{kind}: there is no {kind} {wanted} at {remote.url}; there is {there}")
    if len(found) > 1:
        raise Unusable(f"--{kind}: {wanted} is the name of several; give the id of one: {_told(found)}")
    return str(found[0])


def _told(names: list[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more if names else "none"


class Writing:
    """The checks that make things."""

    def __init__(self, run: Run, target: Target, leftovers: Leftovers, generated: int = 0) -> None:
        self.run, self.target, self.left, self.generated = run, target, leftovers, generated
        self.id: str | None = None
        """The instance, once it is made."""
        self.group: str | None = None
        self.up = False

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """In their order, each with a name for who watches."""
        return [
            ("what is refused", self._refused),
            ("a group", self._group),
            ("a start", self._start),
            ("updates", self._updates),
            *([("generated updates", self._generated)] if self.generated else []),
            ("until it is Started", self._await_start),
            ("a restart", self._restart),
            ("two terminations", self._terminate),
            ("until it is gone", self._await_end),
            ("the group's end", self._delete_group),
        ]

    # ---- what is refused -------------------------------------------------------------------------------------------

    def _refused(self) -> None:
        run, tag = self.run, f"no-{uuid4().hex[:8]}"
        self._start_refused({"vmid": str(uuid4())}, "VM not in the registry")
        self._start_refused({"vmid": self.target.template, "tag": tag}, f"No such tag {tag}")
        for broken in (b"{", b"[]", b""):
            self._start_refused(broken, None)
        ids: list[tuple[str, str, str, dict[str, Any] | None]] = [
            ("PUT", INSTANCES, "id=*", {"name": self.left.mark}),
            ("DELETE", INSTANCES, "", {"id": ...}),
            ("POST", RESTART, "", {"instance_id": ...}),
            ("POST", "/api/v1/image", "", {"id": ..., "new_template_name": self.left.mark}),
            ("DELETE", NODES, "", {"node_id": ...}),
            ("POST", "/api/v1/node/config", "", {"node_id": ...}),
            ("DELETE", TEMPLATES, "id=*", None),
            ("DELETE", "/api/v1/registry/vm/remove", "id=*", None),
            ("DELETE", "/api/v1/registry/revert", "id=*", None),
            ("DELETE", "/api/v1/registry/vm/distribute", "id=*", None),
            ("PUT", GROUPS, "id=*", {"name": self.left.mark}),
            ("DELETE", GROUPS, "id=*", None),
        ]
        for method, path, query, body in ids:
            if run.has(method, path):
                check_unknown(run, method, path, query, body)

    def _start_refused(self, body: Any, message: str | None) -> None:
        exchange = self._post_start(body)
        if self.run.denied(exchange, "refused"):
            return
        text = "starts what cannot be started"
        if self.run.claim("refused", "startVms", not exchange.succeeded, text) and message is not None:
            told = f"the message is {exchange.message!r}, not {message!r}"
            self.run.claim("message", "startVms", exchange.message == message, told)

    def _post_start(self, body: Any) -> Exchange:
        """Whatever comes of it is ours, also if it should have been refused."""
        self.left.asked.add(INSTANCES)
        if isinstance(body, dict):
            body = {**body, "name": self.left.mark, "external_id": self.left.mark}
        exchange = self.run.ask("POST", INSTANCES, body=body)
        made = exchange.body if isinstance(exchange.body, list) else []
        self.left.instances.update(id for id in made if isinstance(id, str))
        return exchange

    # ---- an instance -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        run, target = self.run, self.target
        asked = {"vmid": target.template, "tag": target.tag, "node_id": target.node}
        body = {key: value for key, value in asked.items() if value is not None}
        exchange = self._post_start(body)
        if run.denied(exchange, "made"):
            return
        ids = exchange.body if isinstance(exchange.body, list) else []
        text = f"one start hands back {len(ids)} ids" if exchange.succeeded else f"fails: {exchange.message}"
        if not run.claim("made", "startVms", len(ids) == 1 and isinstance(ids[0], str), text):
            return
        self.id = ids[0]
        one = run.get(INSTANCES, self.id)
        run.claim("at-once", "startVms", one.succeeded, f"{self.id} is not found by its id: {one.message}")
        item = self._item()
        if not run.claim("at-once", "startVms", item is not None, f"{self.id} is not in the list") or item is None:
            return
        state = self._vm(item).get("instance_state")
        run.claim("first-state", "startVms", state in FIRST, f"{self.id} begins in {state}")
        self._labels("startVms", self.left.mark, self.left.mark, "labels")
        vmid = self._vm(item).get("vmid")
        run.claim("placed", "startVms", vmid == target.template, f"the template is {vmid}, not {target.template}")
        if target.tag is not None:
            tag = self._vm(item).get("tag")
            run.claim("placed", "startVms", tag == target.tag, f"the tag is {tag}, not {target.tag}")

    def _item(self) -> dict[str, Any] | None:
        """What the list has of our instance."""
        return next((each for each in self.run.items(INSTANCES) if each.get("instance_id") == self.id), None)

    @staticmethod
    def _vm(item: dict[str, Any]) -> dict[str, Any]:
        vm = item.get("vm")
        return vm if isinstance(vm, dict) else {}

    def _labels(self, operation: str, name: str, external_id: str, check: str) -> None:
        """What the list and, where the release tells it, the single instance have as name and external id."""
        shown = [self._item() or {}]
        if self.run.contract.release.has("instance-tells-its-names"):
            body = self.run.get(INSTANCES, self.id).body
            shown.append(body if isinstance(body, dict) else {})
        for each in shown:
            for key, wanted in (("name", name), ("external_id", external_id)):
                text = f"{key} is {each.get(key)!r}, not {wanted!r}"
                self.run.claim(check, operation, each.get(key) == wanted, text)

    def _update(self, body: Any, check: str, content_type: str | None = "application/json") -> bool:
        query = f"id={quote(self.id or '', safe='')}"
        exchange = self.run.ask("PUT", INSTANCES, query, body, content_type)
        if self.run.denied(exchange, check):
            return False
        text = f"an update fails: {exchange.message or exchange.status}"
        return self.run.claim(check, "updateVm", exchange.succeeded, text)

    def _updates(self) -> None:
        if self.id is None:
            return self._skip("updateVm", "partial", "any-content-type", "unknown-field", "merged")
        mark = self.left.mark
        if self._update({"name": f"{mark}-2"}, "partial"):
            self._labels("updateVm", f"{mark}-2", mark, "partial")
        if self._update({"external_id": f"{mark}-2"}, "partial"):
            self._labels("updateVm", f"{mark}-2", f"{mark}-2", "partial")
        for number, kind in enumerate((None, "text/plain", "application/x-www-form-urlencoded"), 3):
            body = f'{{"name":"{mark}-{number}"}}'.encode()
            if self._update(body, "any-content-type", kind):
                self._labels("updateVm", f"{mark}-{number}", f"{mark}-2", "any-content-type")
        self._update({"name": mark, "no_such_field": {"a": [1]}}, "unknown-field")
        if self._update({"metadata": {"a": "x", "b": 1}}, "partial") and self._update(
            {"metadata": {"b": 2}}, "partial"
        ):
            body = self.run.get(INSTANCES, self.id).body
            metadata = body.get("metadata") if isinstance(body, dict) else None
            merged = metadata == {"a": "x", "b": 2}
            self.run.claim("merged", "updateVm", merged, f"metadata is {metadata}", "$.body.metadata")
        return None

    def _generated(self) -> None:
        """Bodies that schemathesis makes, with our names put in, so that instance and group are found again."""
        for path, id, names in (
            (INSTANCES, self.id, ("name", "external_id")),
            (GROUPS, self.group, ("name",)),
        ):
            if id is None:
                continue
            for body in updates(self.run.contract.document, path, self.generated):
                kept = {key: value for key, value in body.items() if key.casefold() not in names}
                self.run.ask("PUT", path, f"id={quote(id, safe='')}", kept | dict.fromkeys(names, self.left.mark))

    def _await_start(self) -> None:
        run = self.run
        if self.id is None:
            return self._skip("startVms", "started")
        self._until(("Started", "Error", *ENDING), run.pace.start)
        state = self._state()
        if state in ("Scheduling", "Pulling"):
            why = (
                f"it is {state} after {run.pace.start:g} s: no free node, or a long pull; --start-timeout waits longer"
            )
            return self._skip("startVms", "started", why=why)
        if run.silent:
            return self._skip("startVms", "started", why="no answer")
        vm = run.watch.instances.get(self.id, {})
        text = f"it is {state or 'unknown'}: {vm.get('message', 'no message')}"
        self.up = run.claim("started", "startVms", state == "Started", text)
        if self.up:
            if self.target.node is not None:
                node = vm.get("node_id")
                run.claim("placed", "startVms", node == self.target.node, f"it runs on {node}, not {self.target.node}")
            counters(run)
        return None

    def _state(self) -> str | None:
        exchange = self.run.get(INSTANCES, self.id)
        body = exchange.body
        return str(body.get("instance_state")) if isinstance(body, dict) else None

    def _until(self, states: tuple[str | None, ...], seconds: float) -> bool:
        return self.run.until(seconds, lambda: self._state() in (*states, None))

    def _restart(self) -> None:
        run = self.run
        if not run.has("POST", RESTART):
            return None
        if self.id is None or not self.up:
            return self._skip("restartVm", "restarted")
        before = self._start_date()
        run.sleep(1.0)  # start dates have whole seconds
        exchange = run.ask("POST", RESTART, body={"instance_id": self.id})
        if run.denied(exchange, "restarted"):
            return None
        if run.claim("restarted", "restartVm", exchange.succeeded, f"fails: {exchange.message}"):
            run.until(run.pace.end, lambda: self._start_date() not in (before, None) and self._state() == "Started")
            after, state = self._start_date(), self._state()
            text = f"it is {state}, and start_date was {before} and is {after}"
            run.claim("restarted", "restartVm", state == "Started" and after not in (before, None), text)
        return None

    def _start_date(self) -> Any:
        vm = self.run.get(INSTANCES, self.id).body
        info = vm.get("vminfo") if isinstance(vm, dict) else None
        return info.get("start_date") if isinstance(info, dict) else None

    def _terminate(self) -> None:
        run = self.run
        if self.id is None:
            return self._skip("terminateVm", "terminated", "terminating", "gone")
        for time in ("once", "twice"):
            exchange = run.ask("DELETE", INSTANCES, body={"id": self.id})
            if run.denied(exchange, "terminated"):
                return None
            if exchange.succeeded:
                self.left.ended.add(self.id)
            run.claim("terminated", "terminateVm", exchange.succeeded, f"fails when asked {time}: {exchange.message}")
        one = run.get(INSTANCES, self.id)
        state = one.body.get("instance_state") if isinstance(one.body, dict) else None
        unknown = not one.succeeded and one.message == NOT_FOUND
        text = f"it is {state or one.message} after its termination"
        run.claim("terminating", "terminateVm", state in ENDING or unknown, text)
        return None

    def _await_end(self) -> None:
        run = self.run
        if self.id is None:
            return
        seen: set[str | None] = set()

        def over() -> bool:
            state = self._state()
            seen.add(state)
            return state is None

        run.until(run.pace.end, over)
        stray = sorted(str(state) for state in seen if state not in (*ENDING, None))
        run.claim("terminating", "terminateVm", not stray, f"it is {', '.join(stray)} after its termination")
        run.claim("gone", "terminateVm", None in seen, f"it is still there after {run.pace.end:g} s")
        if None in seen:
            listed = self._item()
            run.claim("deleted", "terminateVm", listed is None, "it is not found by its id, and listed")

    def _skip(self, operation: str, *checks: str, why: str = "there is no instance") -> None:
        for check in checks:
            self.run.results.skipped(check, operation, why)

    # ---- a group ---------------------------------------------------------------------------------------------------

    def _group(self) -> None:
        run, mark = self.run, self.left.mark
        status = run.get("/api/v1/status").body
        if isinstance(status, dict) and status.get("license") == "basic":
            return self._skip("createGroup", "made", "any-content-type", why="the licence is basic")
        self.left.asked.add(GROUPS)
        body = f'{{"name":"{mark}","description":"made by a check"}}'.encode()
        exchange = run.ask("POST", GROUPS, body=body, content_type=None)
        if run.denied(exchange, "made"):
            return None
        if not run.claim("any-content-type", "createGroup", exchange.succeeded, f"fails: {exchange.message}"):
            exchange = run.ask("POST", GROUPS, body=body)
        made = exchange.body if isinstance(exchange.body, dict) else {}
        id = made.get("id")
        if not run.claim("made", "createGroup", isinstance(id, str), f"no id: {exchange.message}", "$.body.id"):
            return None
        self.group = str(id)
        self.left.groups.add(self.group)
        self._has_group("createGroup", "at-once", mark, "made by a check")
        self._update_group({"name": f"{mark}-2"}, f"{mark}-2", "made by a check")
        self._update_group({"description": "changed"}, f"{mark}-2", "changed")
        if self.target.node is not None:
            self._members(self.target.node)
        return None

    def _has_group(self, operation: str, check: str, name: str, description: str) -> None:
        found = next((each for each in self.run.items(GROUPS) if each.get("id") == self.group), None)
        if (
            self.run.claim(check, operation, found is not None, f"group {self.group} is not listed")
            and found is not None
        ):
            shown = found.get("name"), found.get("description")
            text = f"name and description are {shown}, not {(name, description)}"
            label = check if operation == "updateGroup" else "labels"
            self.run.claim(label, operation, shown == (name, description), text)

    def _update_group(self, body: dict[str, str], name: str, description: str) -> None:
        exchange = self.run.ask("PUT", GROUPS, f"id={quote(self.group or '', safe='')}", body)
        if not self.run.denied(exchange, "partial"):
            self.run.claim("partial", "updateGroup", exchange.succeeded, f"fails: {exchange.message}")
            self._has_group("updateGroup", "partial", name, description)

    def _members(self, node: str) -> None:
        """Our own group alone is given to the node, and taken away again."""
        run, body = self.run, {"group_ids": [self.group], "node_ids": [node]}
        for method, within in (("POST", True), ("DELETE", False)):
            operation = run.name(method, MEMBERS)
            exchange = run.ask(method, MEMBERS, body=body)
            if run.denied(exchange, "member"):
                continue
            run.claim("member", operation, exchange.succeeded, f"fails: {exchange.message}")
            (shown, *_) = run.get(NODES, node).body or [{}]
            groups = [each.get("id") for each in shown.get("groups") or ()]
            text = f"node {node} is {'not ' if within else ''}in group {self.group}"
            run.claim("member", operation, (self.group in groups) is within, text)

    def _delete_group(self) -> None:
        run = self.run
        if self.group is None:
            return
        query = f"id={quote(self.group, safe='')}"
        exchange = run.ask("DELETE", GROUPS, query)
        if run.denied(exchange, "deleted"):
            return
        run.claim("deleted", "deleteGroup", exchange.succeeded, f"fails: {exchange.message}")
        listed = [each for each in run.items(GROUPS) if each.get("id") == self.group]
        run.claim("deleted", "deleteGroup", not listed, f"group {self.group} is still listed")
        if exchange.succeeded and not listed:
            self.left.groups.discard(self.group)
        again = run.ask("DELETE", GROUPS, query)
        run.claim("unknown-id", "deleteGroup", not again.succeeded, "succeeds for a group that is deleted")
