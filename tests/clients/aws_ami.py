"""cloud-connect.bash of aws-ec2-mac-amis (controller-facts D8, A16): a Mac that joins drained, pulls, and opens."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.clients.engine import FORM, Call, Client, Fails, Machine

POLL = 10.0
AUTHENTICATION_REQUIRED = "Authentication Required"


class AwsAmi(Client):
    """The agent's own part, joining, is not the controller's API: here the node is there already."""

    CALLS: ClassVar = {
        "status": Call("GET", "/api/v1/status"),
        "nodes": Call("GET", "/api/v1/node"),
        "distribute": Call(
            "POST",
            "/api/v1/registry/vm/distribute",
            FORM,
            {"template_id": "<vmid>", "tag": "<tag?>", "node_ids": ["<node_id>"]},
        ),
        "distribution": Call("GET", "/api/v1/registry/vm/distribute?id=<request_id>"),
        "open": Call("POST", "/api/v1/node/config", FORM, {"node_id": "<node_id>", "drain_mode": False}),
        "leave": Call("DELETE", "/api/v1/node", FORM, {"node_id": "<node_id>"}),
    }

    def ask(self, name: str, **values: Any) -> Any:
        """curl and jq: the text is searched for one message, else read."""
        reply = self.send(name, **values)
        if AUTHENTICATION_REQUIRED in reply.text:
            raise Fails(AUTHENTICATION_REQUIRED)
        return reply.json()

    def agent_version(self) -> str:
        """The package to install is that of the controller's release."""
        status = self.ask("status")["body"]
        if not status["registry_address"]:
            raise Fails("no registry")
        return str(status["version"].partition("-")[0])

    def node_id(self) -> str | None:
        """The node that has this Mac's name."""
        mine = [each for each in self.ask("nodes")["body"] if each["node_name"] == self.settings["node_name"]]
        return mine[0]["node_id"] if mine else None

    def start(self) -> Machine:
        """Fetch the template, then take work."""
        self.log.append(f"agent {self.agent_version()}")
        node_id = self.node_id()
        if node_id is None:
            raise Fails("the node has not joined")
        request_id = self.ask("distribute", node_id=node_id)["body"]["request_id"]
        self.sleep(2)
        for _ in self.every(POLL):
            found = self.ask("distribution", request_id=request_id)["body"]["distribute_status"].get(node_id) or {}
            if found.get("status") is None:
                raise Fails("the distribution does not know the node")
            if found["status"]:
                break
        self.ask("open", node_id=node_id)
        return Machine(node_id)

    def end(self, machine: Machine) -> None:
        self.ask("leave", node_id=machine.id)
