"""Random requests to a gateway, chosen from what is there, and the bytes of the answers.

Needs no package of the tests, so that every Python which can run mockanka can run it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any, NamedTuple

from mockanka.core.controller import Controller
from mockanka.core.faults import LIFECYCLE_FAULTS, NODE_OVERRIDES, OMITTABLE_FIELDS, RESPONSE_FAULTS
from mockanka.core.lifecycle import InstanceState, LostInstances
from mockanka.core.operations import OPERATION_METHODS, OPERATIONS
from mockanka.server.asgi import Gateway

UNREPEATABLE_FAULTS = frozenset({"stale", "refuse", "unreachable"})
"""Response faults that depend on earlier responses, which no dump has, or on the time of the wall."""
SCRIPTS = ("", "ZmFpbA==", "bm90aGluZw==", "not base64")
DURATIONS = ("0s", "1ns", "1s", "7s", "30s", "2m", "1h")
RELEASES = ("1.8.0", "1.24.0", "1.32.0", "1.43.0", "1.50.1")


class Request(NamedTuple):
    """A request: the method, the target, and the body as text."""

    method: str
    target: str
    body: str = ""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def __str__(self) -> str:
        return " ".join(part for part in self if part)


def json_request(method: str, target: str, body: object) -> Request:
    """Return a request with a body in JSON."""
    return Request(method, target, json.dumps(body))


async def answer_to(gateway: Gateway, request: Request, accept: str = "*/*") -> bytes:
    """Return all that is sent for a request: status, headers and the parts of the body, as bytes."""
    path, _, query = request.target.partition("?")
    sent: list[bytes] = []
    messages = [{"type": "http.request", "body": request.body.encode(), "more_body": False}]
    never = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not messages:
            await never.wait()
        return messages.pop()

    async def send(message: Mapping[str, Any]) -> None:
        if "status" in message:
            lines = [b"%d" % message["status"], *(b"%s: %s" % header for header in message["headers"])]
            sent.append(b"\n".join(lines) + b"\n\n")
        else:
            sent.append(message.get("body", b""))

    scope = {
        "type": "http",
        "method": request.method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"host", b"test"), (b"accept", accept.encode()), (b"user-agent", b"random/1.0")],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 8090),
    }
    await gateway(scope, receive, send)
    return b"|".join(sent)


def body_of(answer: bytes) -> bytes:
    """Return the body of an answer that was sent as a whole."""
    return answer.partition(b"\n\n")[2].removeprefix(b"|")


class RandomRules:
    """Random fault rules of every kind, for a controller as it is."""

    def __init__(self, random: Random, controller: Controller, without: frozenset[str] = frozenset()) -> None:
        self._random, self._controller = random, controller
        self._response_faults = [kind for kind in RESPONSE_FAULTS if kind not in without]

    def rule(self) -> dict[str, Any]:
        """Return a rule; some are refused, because what they name is gone or their values do not go together."""
        random = self._random
        event = random.choice([None, None, "schedule", "started", "start", *LIFECYCLE_FAULTS])
        kinds = RESPONSE_FAULTS if event is None else LIFECYCLE_FAULTS[event]
        kind = random.choice(self._response_faults if event is None else list(kinds))
        action = {kind: self.value(kind, event)}
        for key in sorted(kinds[kind]):
            if random.random() < 0.4:
                action[key] = self.value(key, event)
        if "lost_instances" in action:  # goes with no other state
            action["node"] = "offline"
        if {"after", "after_polls"} <= action.keys():
            del action[random.choice(["after", "after_polls"])]
        if "every" in action:
            action["for"] = "1s"
        rule: dict[str, Any] = {"match": self._event_match(event) if event else self._request_match(), "do": action}
        if random.random() < 0.8 or event is None:
            rule["times"] = random.randint(1, 3)
        if random.random() < 0.2:
            rule["skip"] = random.randint(0, 2)
        if random.random() < 0.2:
            rule["probability"] = random.choice([0.25, 0.5, 0.9])
        if random.random() < 0.1:
            rule["seed"] = random.randint(-5, 5)
        if random.random() < 0.1:
            rule["id"] = random.choice(["fault-3", "rule-1", "rule-2"])
        return rule

    def value(self, key: str, event: str | None) -> Any:
        """Return a value for a key of ``do``."""
        random = self._random
        if key == "without":
            return random.sample(OMITTABLE_FIELDS, random.randint(1, 3))
        if key == "end":
            names = [instance.request.name or instance.id for instance in list(self._controller.instances.values())]
            return random.choice([True, *names[-3:]]) if event != "begin" else random.choice([*names[-3:], "nobody"])
        return random.choice(FAULT_VALUES[key])

    def _request_match(self) -> dict[str, Any]:
        random = self._random
        match: dict[str, Any] = {}
        if random.random() < 0.7:
            operation = random.choice(OPERATIONS)
            match["path"] = random.choice([operation.path, operation.path, "/api/v1/vm", "/api/v1/*", "*"])
            if match["path"] == operation.path and random.random() < 0.5:
                match["method"] = operation.method
        elif random.random() < 0.3:
            match["method"] = random.choice(OPERATION_METHODS)
        if random.random() < 0.1:
            match["query"] = random.choice([{"id": None}, {"id": pick(random, self._controller.instances)}])
        if random.random() < 0.1:
            match["nth"] = random.choice([1, 2, "2-3"])
        if random.random() < 0.05:
            match["user_agent"] = "rand*"
        if random.random() < 0.05:
            match["header"] = {"Accept": "*"}
        if random.random() < 0.05 and match.get("method", "POST") != "GET":
            match["body"] = {"name": "job-1"}
        return match

    def _event_match(self, event: str) -> dict[str, Any]:
        random, controller = self._random, self._controller
        match: dict[str, Any] = {"event": event}
        if random.random() < 0.2 or event == "begin":
            node = controller.nodes.get(pick(random, controller.nodes))
            match["node"] = node.name if node else "nobody"
        if random.random() < 0.1:
            match["template"] = pick(random, controller.templates)
        if random.random() < 0.1:
            match["group"] = pick(random, controller.groups)
        if random.random() < 0.1:
            match["external_id"] = "job-1"
        if random.random() < 0.1:
            match["instance"] = pick(random, controller.instances)
        if event == "begin" and random.random() < 0.6:
            return {"event": event}
        return match


FAULT_VALUES: dict[str, tuple[Any, ...]] = {
    "delay": ("1s", "10s", {"uniform": ["0s", "1m"]}, {"normal": ["5s", "2s"]}, {"lognormal": ["2s", 0.4]}),
    "status": (200, 204, 304, 404, 429, 500, 503),
    "body": ("", "not JSON", "<p>", "{}", '{"status":"OK","message":"","body":null}'),
    "content_type": ("text/html", "application/json; charset=utf-8", ""),
    "refuse": ("1h",),
    "unreachable": ("1h",),
    "connection": ("close", "reset"),
    "cut": (0, 1, 40, "0%", "50%", "100%"),
    "dribble": ("1s", "40s"),
    "stale": (True, "1s", "10s", "2m"),
    "acts": (True, False),
    "fail": ("no", "", "broken pipe é", "maximum number of running instances exceeded"),
    "final": (True,),
    "at": ("0%", "1%", "40%", "100%"),
    "after": DURATIONS,
    "after_polls": (1, 2, 5),
    "for": ("1ns", "1s", "10s", "1m", "10m"),
    "stall": (True,),
    "bandwidth": ("1Mbit/s", "200Mbit/s", "10Gbit/s"),
    "every": ("5s", "20s", "2m"),
    "set": ({"vm.arch": "x"}, {"status": None}, {"vm.vminfo.ip": "192.0.2.1", "new": [1]}),
    "merge_patch": ({"arch": None}, {"vm": {"tag": "x"}}),
    "item": (0, 1, {"name": "job-1"}),
    "exit": (0, 3, -1),
    "timeout": (True,),
    "stdout": ("", "out", "\u2028é\n"),
    "stderr": ("", "err"),
    "stop": (True,),
    "vanish": (True,),
    "ignore": (True,),
    "node": NODE_OVERRIDES,
    "lost_instances": tuple(policy.value for policy in LostInstances),
    "registry": ("down", "full"),
    "license": ("expired",),
    "restart": ({"for": "1s"}, {"for": "10s", "release": "1.51.2"}, {"for": "1m", "release": "1.43.0"}),
}
"""Values for the keys of ``do`` that do not depend on the controller."""


def pick(random: Random, entities: Mapping[str, object]) -> str:
    """Return the id of an entity, or of nothing if there is none, and now and then all the same."""
    return random.choice(list(entities)) if entities and random.random() < 0.97 else "nobody"


class RandomRequests:
    """Random requests of all operations of the controller and the control API, about what a controller has.

    The requests follow from the random numbers and the state of the controller alone.
    """

    def __init__(self, random: Random, controller: Controller, without: frozenset[str] = frozenset()) -> None:
        self._random, self._controller = random, controller
        self._rules = RandomRules(random, controller, without)
        weights: list[tuple[int, Callable[[], Request]]] = [
            (10, self._start),
            (4, self._start_with_much),
            (12, self._poll),
            (8, lambda: Request("GET", "/api/v1/vm")),
            (6, self._terminate),
            (2, self._update),
            (3, self._restart),
            (8, self._read),
            (3, self._configure),
            (3, self._group),
            (3, self._distribute),
            (4, self._save),
            (2, self._rare),
            (1, self._broken),
            (14, self._advance),
            (2, self._wait),
            (1, self._change_clock),
            (8, self._add_rules),
            (2, self._remove_rules),
            (3, self._override_node),
            (2, self._act_on_instance),
            (4, self._look),
        ]
        self._makers = [maker for _, maker in weights]
        self._weights = [weight for weight, _ in weights]

    def __iter__(self) -> Iterator[Request]:
        while True:
            yield self.request()

    def request(self) -> Request:
        """Return a request."""
        (maker,) = self._random.choices(self._makers, self._weights)
        return maker()

    def _any(self, *values: Any) -> Any:
        return self._random.choice(values)

    def _instance(self) -> str:
        # The newest are those that something happens to.
        ids = list(self._controller.instances)
        recent = ids[-8:] if self._random.random() < 0.8 else ids
        return pick(self._random, dict.fromkeys(recent))

    def _template(self) -> str:
        return pick(self._random, self._controller.templates)

    def _node(self) -> str:
        return pick(self._random, self._controller.nodes)

    def _tag(self) -> str:
        template = self._controller.templates.get(self._template())
        return self._any(*(version.tag for version in template.versions)) if template and template.versions else "x"

    # The API of the controller.

    def _start(self) -> Request:
        body: dict[str, Any] = {"vmid": self._template()}
        if self._random.random() < 0.3:
            body["count"] = self._any(1, 2, 3)
        if self._random.random() < 0.5:
            body["name"] = self._any("job-1", "job-2", "")
            body["external_id"] = self._any("job-1", "job-2", "ä\u2028")
        return json_request("POST", "/api/v1/vm", body)

    def _start_with_much(self) -> Request:
        fields: dict[str, Any] = {
            "tag": self._tag(),
            "version": self._any(0, 1),
            "node_id": self._node(),
            "group_id": pick(self._random, self._controller.groups),
            "priority": self._any(1, 500, 10_000),
            "usb_device": self._any("phone", "tablet", "iPhone"),
            "vcpu": self._any(0, 1, 6),
            "vram": self._any(0, 1024, 8192),
            "metadata": self._any({}, {"k": "v", "n": 7, "b": True}, None),
            "startup_script": self._any(*SCRIPTS),
            "startup_script_condition": self._any(0, 1),
            "script_monitoring": self._any(True, False),
            "script_timeout": self._any(0, 2, 90),
            "script_fail_handler": self._any(0, 1, 2),
            "name_template": self._any("$instance_id", "$node_name-$tag", "vm-$ts"),
            "mac_address": self._any("0A:0B:0C:0D:0E:0F", "no address", ""),
            "vlan_tag": self._any("7", "12", "99", ""),
            "vnc_password": self._any("secret", ""),
            "port_forwarding_override": self._any([], [{"name": "web", "guest_port": "80", "host_port": "10080"}]),
            "disk": self._any({}, {"size": "100G"}),
        }
        chosen = self._random.sample(sorted(fields), self._random.randint(1, 6))
        return json_request("POST", "/api/v1/vm", {"vmid": self._template(), **{key: fields[key] for key in chosen}})

    def _poll(self) -> Request:
        return Request("GET", f"/api/v1/vm?id={self._instance()}")

    def _terminate(self) -> Request:
        return json_request("DELETE", "/api/v1/vm", {"id": self._instance()})

    def _update(self) -> Request:
        body = self._any({"name": "renamed"}, {"name": "", "external_id": "job-2"}, {"metadata": {"n": 1}})
        return json_request("PUT", f"/api/v1/vm?id={self._instance()}", body)

    def _restart(self) -> Request:
        fields = self._any({}, {}, {"usb_device": "phone"}, {"vnc_password": "other"})
        return json_request("POST", "/api/v1/rpc/vm/restart", {"instance_id": self._instance(), **fields})

    def _read(self) -> Request:
        controller = self._controller
        target = self._any(
            "/api/v1/node", f"/api/v1/node?id={self._node()}", "/api/v1/vlan", "/api/v1/registry/vm",
            f"/api/v1/registry/vm?id={self._template()}", "/api/v1/registry/vm?apiVer=v1",
            "/api/v1/registry/vm/distribute",
            f"/api/v1/registry/vm/distribute?id={pick(self._random, controller.distributions)}",
            "/api/v1/registry/disk", "/api/v1/image", f"/api/v1/image?id={pick(self._random, controller.save_images)}",
            "/api/v1/group", "/api/v1/usb", "/api/v1/status", "/livez", "/readyz", "/api/v1/nothing",
        )  # fmt: skip
        return Request("GET", target)

    def _configure(self) -> Request:
        fields = self._any(
            {"max_vm_count": self._any(0, 1, 2, 5)}, {"capacity_mode": self._any("number", "resource")},
            {"vcpu_override": self._any(0, 4), "ram_override": self._any(0, 12)}, {"drain_mode": True},
            {"drain_mode": False},
            {"name": self._any("renamed", "mini-01", ""), "host": "192.0.2.99"}, {"disable_central_logging": True},
        )  # fmt: skip
        return json_request("POST", "/api/v1/node/config", {"node_id": self._node(), **fields})

    def _group(self) -> Request:
        group = pick(self._random, self._controller.groups)
        fallback = pick(self._random, self._controller.groups)
        members = {"group_ids": [group], "node_ids": [self._node(), self._node()]}
        changes = {"name": self._any("x", ""), "fallback_group_id": self._any(fallback, "")}
        return self._any(
            json_request("POST", "/api/v1/group", {"name": self._any("ios", "new"), "fallback_group_id": fallback}),
            json_request("PUT", f"/api/v1/group?id={group}", changes),
            Request("DELETE", f"/api/v1/group?id={group}"),
            json_request("POST", "/api/v1/node/group", members),
            json_request("POST", "/api/v1/node/group", members),
            json_request("DELETE", "/api/v1/node/group", members),
        )  # fmt: skip

    def _distribute(self) -> Request:
        template = {"template_id": self._template()}
        fields = self._any({}, {"tag": self._tag()}, {"node_ids": [self._node()]},
                           {"group_id": pick(self._random, self._controller.groups)}, {"version": 0})  # fmt: skip
        distribution = pick(self._random, self._controller.distributions)
        return self._any(
            json_request("POST", "/api/v1/registry/vm/distribute", {**template, **fields}),
            json_request("POST", "/api/v1/registry/vm/distribute", {**template, **fields}),
            Request("DELETE", f"/api/v1/registry/vm/distribute?id={distribution}"),
        )

    def _save(self) -> Request:
        body: dict[str, Any] = {"id": self._instance(), "tag": self._any("", "saved", self._tag())}
        body |= self._any({"new_template_name": "new"}, {"target_vm_id": self._template()})
        fields = {
            "suspend": self._any(True, False),
            "script": self._any(*SCRIPTS),
            "revert_before_push": self._any(True, False),
            "revert_tag": self._tag(),
            "do_suspend_sanity_test": True,
            "cancel_on_script_failure": True,
            "description": "x",
        }
        chosen = self._random.sample(sorted(fields), self._random.randint(0, 3))
        return json_request("POST", "/api/v1/image", {**body, **{key: fields[key] for key in chosen}})

    def _rare(self) -> Request:
        """Return a request that destroys much, some of the time."""
        if self._random.random() < 0.6:
            nodes = self._any({}, {"node_ids": [self._node()]})
            return json_request("DELETE", f"/api/v1/registry/vm/remove?id={self._template()}", nodes)
        return self._any(
            json_request("DELETE", "/api/v1/node", {"node_id": self._node()}),
            Request("DELETE", f"/api/v1/registry/vm?id={self._template()}"),
            json_request("DELETE", f"/api/v1/registry/revert?id={self._template()}", {"tag": self._tag()}),
            Request("PUT", "/api/v1/node/update"),
            Request("PUT", "/api/v1/node/update"),
        )

    def _broken(self) -> Request:
        method, path, body = self._any(
            ("POST", "/api/v1/vm", "{"), ("POST", "/api/v1/vm", '{"vmid": 1}'), ("POST", "/api/v1/vm", '{"x": NaN}'),
            ("PATCH", "/api/v1/vm", ""), ("POST", "/api/v1/image", "[]"), ("POST", "/_mock/faults", '{"do": {"x": 1}}'),
            ("POST", "/_mock/clock/advance", '{"by": "-1s"}'), ("GET", "/_mock/nothing", ""),
            ("DELETE", "/api/v1/vm", '{"id": "\\ud800"}'), ("PUT", "/_mock/scenario", '{"nodes": 1}'),
        )  # fmt: skip
        return Request(method, path, body)

    # The control API.

    def _advance(self) -> Request:
        until = self._any("next", "next", "next", "next", "idle")
        body = {"by": self._any(*DURATIONS)} if self._random.random() < 0.5 else {"until": until}
        return json_request("POST", "/_mock/clock/advance", body)

    def _wait(self) -> Request:
        states = [state.value for state in InstanceState if state is not InstanceState.GONE]
        wanted = {"instance": self._instance(), "state": self._any("Started", "Started", *states)}
        return self._any(
            json_request("POST", "/_mock/wait", wanted),
            json_request("POST", "/_mock/clock/advance", {"until": wanted}),
            Request("POST", "/_mock/settle", "{}"),
        )

    def _change_clock(self) -> Request:
        body = {"mode": self._any("manual", "step"), "step": self._any("0s", "1s", "13s"), "speed": self._any(0.5, 60)}
        return json_request("PUT", "/_mock/clock", {key: body[key] for key in self._random.sample(sorted(body), 2)})

    def _add_rules(self) -> Request:
        rules = [self._rules.rule() for _ in range(self._any(1, 1, 1, 2))]
        return json_request("POST", "/_mock/faults", rules if len(rules) > 1 else rules[0])

    def _remove_rules(self) -> Request:
        ids = [rule.id for rule in list(self._controller.faults)]
        return Request("DELETE", self._any("/_mock/faults", *(f"/_mock/faults/{id}" for id in ids)))

    def _override_node(self) -> Request:
        # Often what an override began is ended.
        state = "online" if self._random.random() < 0.4 else self._any(*NODE_OVERRIDES)
        body = self._any("", '{"at_once": true}', '{"at_once": false}')
        return Request(
            "POST", f"/_mock/nodes/{self._node()}/{'online' if self._random.random() < 0.4 else state}", body
        )

    def _act_on_instance(self) -> Request:
        body = self._any("", '{"message": "by hand"}')
        return Request("POST", f"/_mock/instances/{self._instance()}/{self._any('fail', 'stop', 'vanish')}", body)

    def _look(self) -> Request:
        target = self._any("instances", "nodes", "faults", "clock", "scenario", "", "health")
        return Request("GET", f"/_mock/{target}")
