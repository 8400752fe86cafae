"""Instances, distributions and save image requests as a scenario has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from mockanka import units
from mockanka.core.lifecycle import REPORTED_STATES, RUNNING_STATES, SHOWN_STATES
from mockanka.snapshot.commented_yaml import Noted
from mockanka.snapshot.fetch import Facts
from mockanka.snapshot.names import Names
from mockanka.snapshot.reader import Json, Told
from mockanka.snapshot.registry import Registry, read_ram, rule_name

NOT_TOLD = (
    "Not told of instances: priority, pinned_node, vcpu, vram, the startup script and what goes with it, "
    "name_template, and ports of their own; a node that one in Scheduling has already; when its phase ends."
)


class Life:
    """Instances and what goes on with them, on nodes and of templates that are known."""

    def __init__(self, facts: Facts, registry: Registry, nodes: Names, groups: Names) -> None:
        self.facts, self.registry, self.nodes, self.groups = facts, registry, nodes, groups
        self.instances = [
            each for each in facts.instances if Told(each).text("instance_id") and Told(each).text("vmid")
        ]
        self.pending = self._pending()
        self.manual_vms = self._by_hand()

    def of_node(self, id: str) -> list[Json]:
        """The instances whose moment goes by their node's reports."""
        there = [each for each in self.instances if each.get("node_id") == id]
        return [each for each in there if _state_in(each, REPORTED_STATES) or self._holds(each)]

    def refs_on(self, id: str) -> list[Json]:
        """The versions, by template and place, that instances on a node run."""
        found = []
        for told in map(Told, self.instances):
            if told.raw.get("node_id") == id and told.inside("vminfo"):
                of = self.registry.know(told.text("vmid") or "", arch=told.text("arch"))
                ref = self.registry.ref(of, told.text("tag"), told.whole("version", high=10**6))
                place = {"template": of.id, "serial": self.registry.serial(of, ref)}
                if place not in found:
                    found.append(place)
        return found

    def _pending(self) -> dict[str, Json]:
        """Save image requests that go on, by the instance that is Pushing."""
        pushing = {each["instance_id"] for each in self.instances if each.get("instance_state") == "Pushing"}
        requests = [each for each in self.facts.save_images if each.get("status") == "pending"]
        return {id: each for each in requests if (id := str(Told(each).inside("request").get("InstanceID"))) in pushing}

    def _by_hand(self) -> dict[str, int]:
        """VMs of each node that no instance accounts for, once those that may run have been counted as running."""
        self.held: set[str] = set()
        left: dict[str, int] = {}
        for told in map(Told, self.facts.nodes):
            if (id := told.text("node_id")) is not None and (count := told.whole("vm_count")) is not None:
                left[id] = count
        beats = {told.text("node_id"): told.moment("last_updated") for told in map(Told, self.facts.nodes)}
        may_run: dict[str, list[Json]] = defaultdict(list)
        for each in self.instances:
            id, state, beat = str(each.get("node_id")), each.get("instance_state"), beats.get(each.get("node_id"))
            # Of one that is on its node the node has reported.
            silent = beat is not None and (Told(each).moment("ts") or 0) < beat
            if each.get("vminfo") and _state_in(each, RUNNING_STATES) and id in left:
                left[id] -= 1
            elif each.get("vminfo") and state in ("Terminating", "Error") and not silent:
                may_run[id].append(each)
            elif state == "Terminating" and beat is not None and not silent:
                self.held.add(each["instance_id"])
        for id, there in may_run.items():
            # Who is Terminating most likely still runs; of those in Error, who is not said to be gone.
            for each in sorted(there, key=lambda one: (one["instance_state"] == "Error", not _up(one))):
                if left.get(id, 0) > 0:
                    left[id] -= 1
                    self.held.add(each["instance_id"])
        return {id: count for id, count in left.items() if count > 0}

    def _holds(self, raw: Json) -> bool:
        return raw["instance_id"] in self.held and raw.get("node_id") in self.nodes.by_id

    def instance_section(self, beats: dict[str, int | None]) -> list[Noted]:
        return [self._instance(Told(raw), beats.get(str(raw.get("node_id")))) for raw in self.instances]

    def _instance(self, told: Told, beat: int | None) -> Noted:
        state = told.text("instance_state")
        of = self.registry.know(told.text("vmid") or "", arch=told.text("arch"))
        id, node_id = told.text("instance_id") or "", told.text("node_id")
        one = Noted(id=id, template=self.registry.name(of.id))
        tag, number = told.text("tag"), told.whole("version", high=10**6)
        one.update(self.registry.ref(of, tag, number))
        if tag is None and number is None and (len(of.live) != 1 or of.live[0]["tag"]):
            one.note("template", "which version is not told")
        if node_id is not None:
            one["node"] = self.nodes.of(node_id)
        self._state(one, told, state, beat)
        for key in ("name", "external_id", "mac_address", "usb_device", "message"):
            one.put(key, told.text(key))
        one.put("vlan_tag", told.text("vlan"))
        group_id = told.text("group_id")
        one.put("group", None if group_id is None else self.groups.of(group_id))
        one.put("metadata", _metadata(one, told))
        progress = told.share("progress")
        one.put("progress", progress or None)
        one.put("inflight_id", told.text("inflight_reqid"))
        vm = Told(told.inside("vminfo"))
        if vm.raw:
            one["vm"] = _vm(vm)
        script = Told(told.inside("startup_script"))
        if script.raw:
            one["script_monitoring"] = True
            one["script"] = _script(script)
        one.above += [*told.remarks, *vm.remarks, *script.remarks]
        return one

    def _state(self, one: Noted, told: Told, state: str | None, beat: int | None) -> None:
        if state not in SHOWN_STATES:
            one.above.append(f"Its state was told as {state!r}, which a scenario does not know: here it is an Error.")
            state = "Error"
        saved = one["id"] in self.pending
        one.put(
            "state", "Started" if saved else state, "Pushing, once its save image request has begun" if saved else ""
        )
        on_node = one.get("node") is not None and (state in REPORTED_STATES or self._holds(told.raw))
        if on_node and state not in REPORTED_STATES:
            one["occupies"] = True
        created, at = told.moment("cr_time"), told.moment("ts")
        one.put("created", None if created is None else units.format_moment(created))
        untouched = created is not None and at == created - units.MICROSECOND and state == "Scheduling"
        if at is not None and not untouched and not (on_node and at == beat):
            one.put("since", units.format_moment(at), "when it was last heard of" if on_node else "")

    def distribution_section(self) -> list[Noted]:
        return [each for raw in self.facts.distributions if (each := self._distribution(raw)) is not None]

    def _distribution(self, raw: Json) -> Noted | None:
        request = Told(Told(raw).inside("request"))
        id, template_id = request.text("request_id"), request.text("template_id")
        if id is None or template_id is None:
            return None
        of = self.registry.know(template_id)
        one = Noted(id=id, template=self.registry.name(of.id), **self.registry.ref(of, None, None))
        one.note("template", "which version is not told: here it is the latest")
        requested = request.moment("time_requested")
        one.put("requested", None if requested is None else units.format_moment(requested))
        one["deliveries"] = [self._delivery(node_id, Told(each)) for node_id, each in self._deliveries(raw)]
        one.above += request.remarks
        return one

    def _deliveries(self, raw: Json) -> list[tuple[str, Json]]:
        status = Told(raw).inside("distribute_status")
        return [(node_id, each) for node_id, each in status.items() if isinstance(each, dict) and node_id]

    def _delivery(self, node_id: str, told: Told) -> Noted:
        progress, error = told.share("progress") or 0, told.text("error")
        stage = "done" if told.flag("status") else "failed" if error else "pulling" if progress else "sent"
        if node_id not in self.nodes.by_id and stage in ("pulling", "sent"):
            stage, error = "failed", None
        one = Noted(node=self.nodes.of(node_id), stage=stage, progress=progress or None, error=error)
        one.above += told.remarks
        return one

    def save_section(self) -> list[Noted]:
        return [each for raw in self.facts.save_images if (each := self._save(Told(raw))) is not None]

    def _save(self, told: Told) -> Noted | None:
        request = Told(told.inside("request"))
        id, instance_id = told.text("id"), request.text("InstanceID")
        if id is None or instance_id is None:
            return None
        status, requested = told.text("status"), request.seconds("Timestamp")
        one = Noted(id=id, instance=instance_id)
        template_id = request.text("TemplateID")
        if template_id is not None:
            one["template"] = self.registry.name(self.registry.know(template_id).id)
        for key, wire in (("new_template_name", "NewTemplateName"), ("tag", "Tag"), ("description", "Description")):
            one.put(key, request.text(wire))
        one.put("suspend", False if request.flag("Suspend") is False else None)
        one.put("script", request.text("Script"))
        one.put("revert_before_push", request.flag("RevertBeforePush") or None)
        one.put("revert_tag", request.text("RevertTag"))
        one.put("do_suspend_sanity_test", request.flag("DoSuspendTest") or None)
        one.put("cancel_on_script_failure", request.flag("CancelOnScriptFailure") or None)
        one.put("requested", None if requested is None else units.format_moment(requested))
        self._save_status(one, told, request, status)
        one.above += [*told.remarks, *request.remarks]
        return one

    def _save_status(self, one: Noted, told: Told, request: Told, status: str | None) -> None:
        if self.pending.get(one["instance"]) is told.raw:
            one.above.append("How far it has come is not told: here it begins anew.")
            return
        one.put("stage", status if status in ("done", "error") else "waiting")
        if one["stage"] == "waiting":
            one.note("stage", "the instance that it saves is not Pushing: nothing goes on here")
        one.put("vm_uuid", request.text("VMID"))
        node_id = request.text("NodeID")
        one.put("node", node_id)
        error, script = Told(told.inside("error")), Told(told.inside("script_result"))
        if (message := error.text("Message")) is not None:
            code = error.whole("Code", -(10**9), 10**9)
            one["error"] = Noted(message=message, type=error.text("Type"), code=code)
        if script.raw:
            one["script_result"] = _script(script)
        one.above += [*error.remarks, *script.remarks]


def _state_in(instance: Json, states: Collection[str]) -> bool:
    """Whether an instance is told to be in one of these states; what is told may be no text."""
    state = instance.get("instance_state")
    return isinstance(state, str) and state in states


def _up(one: Json) -> bool:
    return one["vminfo"].get("status") in ("running", "stopped")


def _script(told: Told) -> Noted:
    return Noted(
        return_code=told.whole("return_code", -(2**31), 2**31) or 0,
        did_timeout=told.flag("did_timeout") or False,
        stdout=told.any_text("stdout") or "",
        stderr=told.any_text("stderr") or "",
    )


def _metadata(one: Noted, told: Told) -> Json | None:
    given = told.inside("metadata")
    kept = {key: value for key, value in given.items() if isinstance(value, str | int | bool)}
    one.above += [f"metadata: {key} is neither text, number nor true or false; left out" for key in given.keys() - kept]
    return kept or None


def _vm(told: Told) -> Noted:
    vm = Noted(uuid=told.any_text("uuid"), name=told.any_text("name"), status=told.text("status"))
    created, last = told.moment("creation_date"), told.moment("timestamp")
    # Dates are whole seconds; what was looked at in its first moments has the fraction (controller-facts A2.3).
    if created is not None and last is not None and last - last % units.SECOND == created:
        created = last
    started = told.moment("start_date") or told.moment("access_date")
    vm.put("created", None if created is None else units.format_moment(created))
    vm.put("started", None if started is None else units.format_moment(started))
    vm.put("cpus", told.whole("cpu_cores", 1, 1024))
    vm.put("ram", read_ram(told))
    vm.put("host_ip", told.any_text("host_ip"))
    vm.put("ip", told.any_text("ip"))
    vm.put("vnc_port", told.whole("vnc_port", 0, 65535))
    password = told.text("vnc_password")
    if password is None and (connection := told.text("vnc_connection_string")) is not None:
        password = connection.removeprefix("vnc://:").rpartition("@")[0] or None
    vm.put("vnc_password", password)
    vm["ports"] = [port for each in told.below("port_forwarding") if (port := _port(Told(each))) is not None]
    return vm


def _port(told: Told) -> Noted | None:
    guest, host = (told.whole(key, 1, 65535) for key in ("guest_port", "host_port"))
    protocol = told.text("protocol")
    if guest is None or host is None:
        return None
    protocol = protocol if protocol != "tcp" else None
    return Noted(name=rule_name(told) or None, guest_port=guest, host_port=host, protocol=protocol)
