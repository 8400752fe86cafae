"""The registry post-processor of packer-plugin-veertu-anka (controller-facts D8): it asks the registry itself."""

from __future__ import annotations

from typing import ClassVar

from tests.clients.engine import Call, Fails
from tests.clients.golang import GoClient


class Packer(GoClient):
    """The post-processor with the one request that it sends over HTTP."""

    CALLS: ClassVar = {"revert": Call("DELETE", "/registry/revert?id=<vmid>")}

    def revert(self) -> None:
        """Delete the latest version of the template. Fails unless HTTP says 200 and the envelope OK."""
        reply = self.send("revert")
        if reply.status != 200:
            raise Fails(f"unsupported http response code: {reply.status}")
        answer = reply.json()
        if answer["status"] != "OK":
            raise Fails(answer["message"])
