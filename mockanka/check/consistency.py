"""Consistency of the responses about an object: in one response, and over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from mockanka.check.item_checks import (
    Claim,
    Item,
    age_claim,
    clock_claims,
    distribution_claims,
    group_list_claims,
    instance_claims,
    instance_list_claims,
    is_number,
    is_version,
    moment_of,
    node_claims,
    object_at,
    objects_in,
    save_image_claims,
    template_claims,
    usb_claims,
)
from mockanka.check.results import Results
from mockanka.check.transitions import may_follow
from mockanka.contract.conformance import Contract, Level
from mockanka.contract.exchange import Exchange
from mockanka.contract.paths import (
    DISTRIBUTIONS_PATH,
    GROUPS_PATH,
    IMAGES_PATH,
    INSTANCES_PATH,
    NODES_PATH,
    STATUS_PATH,
    TEMPLATES_PATH,
    USB_PATH,
    VLANS_PATH,
)

CONSTANT_KEYS = ("vmid", "cr_time")
FILLED_KEYS = ("tag", "version", "arch", "vlan", "group_id", "mac_address")
"""Keys of an instance whose values never change once there is one."""
RUN_KEYS = ("node_id", "inflight_reqid")
"""Keys of an instance that do not change while it is Started."""
VM_KEYS = ("uuid", "node_id", "creation_date", "cpu_cores", "ram", "name")
"""Keys of a VM that do not change while its instance is Started, not even by a restart."""
VM_ADDRESS_KEYS = ("host_ip", "ip", "vnc_port", "port_forwarding")
"""Keys of a VM that change only if its network does; a note."""
VM_TIME_KEYS = ("timestamp", "access_date", "start_date")
REPORT_KEYS = ("last_updated", "timestamp")
"""Keys of a node with the time of its latest report."""
NODE_KEYS = ("cpu_count", "ram", "disk_size", "host_arch")
"""Keys of a node that describe the machine."""
AGE_OF_INSTANCE = 365
"""Days after which a creation is so long ago that the clock may be wrong."""
LOST_STATES = ("Offline", "Inactive (Invalid License)", "Updating", "")
"""States of nodes that do not report."""


class ConsistencyMonitor:
    """Compares each exchange with the earlier ones. All exchanges must be passed to it in their order.

    The contract is that of the results unless another one is given.
    """

    def __init__(self, results: Results, contract: Contract | None = None) -> None:
        self.results = results
        self.contract = contract or results.contract
        self.instances: dict[str, dict[str, Any]] = {}
        """The latest response about each instance, by id."""
        self._started: dict[str, dict[str, Any]] = {}
        """The latest response about each instance in which it was Started, unless it was started again since."""
        self._before: dict[tuple[str, str], Item] = {}
        """The latest response about each other object, by path and id."""
        self._deliveries: dict[tuple[str, str], dict[str, Any]] = {}
        """The latest status of each distribution at each node, by both ids."""

    def observe(self, exchange: Exchange, operation: str, request: str) -> None:
        """Check an exchange and remember it."""
        if exchange.method != "GET" or not exchange.succeeded:
            return
        record = partial(self._record, operation, request)
        body, path = exchange.body, exchange.path
        if path == INSTANCES_PATH:
            instances = list(instances_in(exchange))
            for id, instance in instances:
                record(self._instance_claims(id, instance, exchange.date))
                record(self._report_claims(exchange, id, id, instance, ("ts",)))
            if isinstance(body, list):
                record(instance_list_claims(instances))
        elif path == DISTRIBUTIONS_PATH:
            for distribution in objects_in(body if isinstance(body, list) else [body]):
                record(self._distribution_claims(distribution, exchange.date))
        elif path == NODES_PATH:
            for node in objects_in(body):
                record(self._node_claims(node, exchange.date))
                name = f"node {node.get('node_name')}"
                record(self._report_claims(exchange, str(node.get("node_id")), name, node, REPORT_KEYS))
        elif path == IMAGES_PATH:
            for task in objects_in(body if isinstance(body, list) else [body]):
                record(self._save_image_claims(task, exchange.date))
        elif path == TEMPLATES_PATH:
            record(self._template_claims(exchange))
        elif path == GROUPS_PATH:
            record(group_list_claims(objects_in(body)))
        elif path == VLANS_PATH and isinstance(body, list):
            texts = [vlan for vlan in body if isinstance(vlan, str)]
            record(
                [Claim("unique", len(texts) == len(set(texts)), "a VLAN is listed more than once", "", Level.SHOULD)]
            )
        elif path == USB_PATH and isinstance(body, dict):
            record(usb_claims(body))
        elif path == STATUS_PATH and isinstance(body, dict) and "version" in body:
            text = f"the version is {body['version']!r}, not like {self.contract.release.version}"[:200]
            record([Claim("version", is_version(body["version"]), text, "$.body.version")])

    def _record(self, operation: str, request: str, claims: Iterable[Claim]) -> None:
        for claim in claims:
            if claim.holds:
                self.results.add_pass(claim.check, operation)
            else:
                self.results.add_finding(claim.check, operation, claim.text, request, claim.where, claim.level)

    def _remember(self, path: str, id: Any, item: Item) -> Item | None:
        """Keep an object and return what was known about it, or None."""
        key = path, str(id)
        before = self._before.get(key)
        self._before[key] = item
        return before

    # ---- instances -------------------------------------------------------------------------------------------------

    def _instance_claims(self, id: str, instance: Item, now: float | None) -> Iterator[Claim]:
        yield from instance_claims(id, instance)
        yield from clock_claims(id, {key: instance.get(key) for key in ("cr_time", "ts")}, now)
        yield from age_claim(id, "cr_time", instance.get("cr_time"), now, AGE_OF_INSTANCE)
        before = self.instances.get(id)
        self.instances[id] = instance
        started = self._started.get(id)
        state = instance.get("instance_state")
        if state == "Started":
            self._started[id] = instance
        elif state in ("Scheduling", "Pulling"):
            self._started.pop(id, None)
        if before is None:
            return
        old_state = before.get("instance_state")
        if isinstance(old_state, str) and isinstance(state, str):
            yield Claim("moves", may_follow(old_state, state), f"{id} was {old_state} and is {state}")
        if before.get("node_id") == instance.get("node_id"):
            yield from _progress_claims(before.get("progress"), instance.get("progress"), f"of {id}")
        for key in CONSTANT_KEYS:
            yield _same(id, key, before.get(key), instance.get(key))
        yield from _filled_claims(id, FILLED_KEYS, before, instance)
        if state == "Started" and started is not None:
            yield from self._started_claims(id, started, instance)

    def _started_claims(self, id: str, before: Item, instance: Item) -> Iterator[Claim]:
        """Compare two responses about a Started instance, between which it may have been restarted."""
        yield from _filled_claims(id, RUN_KEYS, before, instance)
        old_vm, vm = object_at(before, "vminfo"), object_at(instance, "vminfo")
        name = f"the VM of {id}"
        yield from _filled_claims(name, VM_KEYS, old_vm, vm)
        yield from _order_claims(name, VM_TIME_KEYS, old_vm, vm)
        if old_vm.get("start_date") == vm.get("start_date"):
            yield from _filled_claims(name, VM_ADDRESS_KEYS, old_vm, vm, Level.NOTE)

    # ---- other objects ---------------------------------------------------------------------------------------------

    def _node_claims(self, node: Item, now: float | None) -> Iterator[Claim]:
        yield from node_claims(node, self.contract.release)
        id, name = node.get("node_id"), f"node {node.get('node_name')}"
        yield from clock_claims(name, {key: node.get(key) for key in REPORT_KEYS}, now)
        if node.get("state") not in LOST_STATES:
            yield from age_claim(name, "last_updated", node.get("last_updated"), now, 1)
        before = self._remember(NODES_PATH, id, node)
        if before is not None:
            yield from _filled_claims(name, NODE_KEYS, before, node, Level.SHOULD)

    def _template_claims(self, exchange: Exchange) -> Iterator[Claim]:
        body = exchange.body
        if isinstance(body, dict):
            yield from template_claims(body)
        for template in objects_in(body if isinstance(body, list) else [body]):
            id = str(template.get("id"))
            yield from self._report_claims(exchange, id, f"template {id}", template, ("last_pull", "last_push"))
            before = self._remember(TEMPLATES_PATH, id, template)
            if before is not None:
                yield from _filled_claims(f"template {id}", ("name", "arch"), before, template)

    def _report_claims(
        self, exchange: Exchange, id: str, name: str, item: Item, keys: tuple[str, ...]
    ) -> Iterator[Claim]:
        """Compare times with those in the latest response of the same kind: a list may lag behind single items."""
        kind = "id" if exchange.parameters.get("id") else "list"
        before = self._remember(f"{kind} {exchange.path}", id, item)
        if before is not None:
            yield from _order_claims(name, keys, before, item)

    def _distribution_claims(self, distribution: Item, now: float | None) -> Iterator[Claim]:
        yield from distribution_claims(distribution)
        request = object_at(distribution, "request")
        id = str(request.get("request_id"))
        yield from clock_claims(id, {"time_requested": request.get("time_requested")}, now)
        old_request = self._remember(DISTRIBUTIONS_PATH, id, request)
        if old_request is not None:
            for key in ("template_id", "time_requested"):
                yield _same(id, key, old_request.get(key), request.get(key))
        for node_id, delivery in object_at(distribution, "distribute_status").items():
            before = self._deliveries.get((id, node_id))
            self._deliveries[id, node_id] = delivery if isinstance(delivery, dict) else {}
            if before is None or not isinstance(delivery, dict):
                continue
            name = f"of {id} at {node_id}"
            yield from _progress_claims(before.get("progress"), delivery.get("progress"), name)
            was_undone = before.get("status") is True and delivery.get("status") is False
            yield Claim("moves", not was_undone, f"the delivery {name} was done, and no longer is")

    def _save_image_claims(self, task: Item, now: float | None) -> Iterator[Claim]:
        yield from save_image_claims(task)
        id, request = str(task.get("id")), object_at(task, "request")
        yield from clock_claims(id, {"Timestamp": request.get("Timestamp")}, now)
        before = self._remember(IMAGES_PATH, id, task)
        if before is None:
            return
        old_status, status = before.get("status"), task.get("status")
        is_final = old_status in ("done", "error")
        yield Claim("moves", not is_final or status == old_status, f"{id} was {old_status} and is {status}")
        for key in ("InstanceID", "TemplateID", "NewTemplateName", "Tag", "Timestamp"):
            yield _same(id, key, object_at(before, "request").get(key), request.get(key))


def instances_in(exchange: Exchange) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the id and the data of each instance in a response, be it a list or a single one."""
    body = exchange.body
    if isinstance(body, dict) and exchange.parameters.get("id"):
        yield exchange.parameters["id"], body
    for item in body if isinstance(body, list) else ():
        if isinstance(item, dict) and isinstance(item.get("instance_id"), str):
            yield item["instance_id"], object_at(item, "vm")


def _same(name: str, key: str, before: Any, now: Any, level: Level | None = None) -> Claim:
    return Claim("constant", before == now, f"{key} of {name} was {before} and is {now}"[:300], "", level)


def _filled_claims(
    name: str, keys: tuple[str, ...], before: Item, now: Item, level: Level | None = None
) -> Iterator[Claim]:
    """Yield the claims that values do not change; a blank value is not compared."""
    for key in keys:
        if before.get(key) not in (None, "") and now.get(key) not in (None, ""):
            yield _same(name, key, before[key], now[key], level)


def _order_claims(name: str, keys: tuple[str, ...], before: Item, now: Item) -> Iterator[Claim]:
    """Yield the claims that times do not go backwards."""
    for key in keys:
        old, new = (moment_of(item.get(key)) for item in (before, now))
        if old is not None and new is not None:
            text = f"{key} of {name} was {before[key]} and is {now[key]}"
            yield Claim("time-order", new >= old, text)


def _progress_claims(before: Any, now: Any, name: str) -> Iterator[Claim]:
    if is_number(before) and is_number(now):
        yield Claim("progress", now >= before, f"progress {name} was {before} and is {now}")
