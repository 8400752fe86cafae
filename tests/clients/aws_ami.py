"""The script cloud-connect.bash of aws-ec2-mac-amis (controller-facts D8, A16): a node that joins in Drain Mode.

Its function around curl evaluates the command once more, by which bodies lose their quotes and all after the first
blank.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tests.clients.engine import FORM, JSON, Call, Client, Fails, Machine

POLL = 10.0
AUTHENTICATION_REQUIRED = "Authentication Required"


class AwsAmi(Client):
    """The script's calls to the controller. The agent's part, joining, is not its API: here the node exists already."""

    CALLS: ClassVar = {
        "status": Call("GET", "/api/v1/status"),
        "nodes": Call("GET", "/api/v1/node"),
        "distribute": Call("POST", "/api/v1/registry/vm/distribute", FORM, data=b"{template_id:"),
        "distribution": Call("GET", "/api/v1/registry/vm/distribute?id=<request_id>"),
        "open": Call("POST", "/api/v1/node/config", FORM, data=b"{node_id:"),
        "leave": Call("DELETE", "/api/v1/node", JSON, {"node_id": "<node_id>"}),
    }

    def ask(self, name: str, **values: Any) -> Any:
        """Send a request as curl does, search the answer for one message, and read it as jq does."""
        reply = self.send(name, **values)
        if AUTHENTICATION_REQUIRED in reply.text:
            raise Fails(AUTHENTICATION_REQUIRED)
        return reply.json()

    def agent_version(self) -> str:
        """Return the version of the package to install: the controller's release."""
        status = self.ask("status")["body"]
        if not status["registry_address"]:
            raise Fails("no registry")
        return str(status["version"].partition("-")[0])

    def node_id(self) -> str | None:
        """Return the id of the node with the name of this Mac, or None."""
        for node in self.ask("nodes")["body"]:
            if node["node_name"] == self.settings["node_name"]:
                return str(node["node_id"])
        return None

    def start(self) -> Machine:
        """Distribute the template to the node, wait for it, and let the node take instances: both are refused."""
        self.log.append(f"agent {self.agent_version()}")
        node_id = self.node_id()
        if node_id is None:
            raise Fails("the node has not joined")
        answer = self.ask("distribute")
        if answer["status"] == "OK":
            self.wait_for_distribution(answer["body"]["request_id"], node_id)
        self.ask("open")
        if answer["status"] != "OK":
            raise Fails("Distribution failed")
        return Machine(node_id)

    def wait_for_distribution(self, request_id: str, node_id: str) -> None:
        """Wait until the node has the template of a distribution."""
        self.sleep(2)
        for _ in self.every(POLL):
            statuses = self.ask("distribution", request_id=request_id)["body"]["distribute_status"]
            status = (statuses.get(node_id) or {}).get("status")
            if status is None:
                raise Fails("the distribution does not know the node")
            if status:
                return

    def end(self, machine: Machine) -> None:
        """Remove the node from the controller."""
        self.ask("leave", node_id=machine.id)
