"""The probes of a controller that runs by helm-charts (controller-facts D8, A24)."""

from __future__ import annotations

from typing import ClassVar

from tests.clients.engine import Call
from tests.clients.golang import GoClient


class Helm(GoClient):
    """The probes; the body is not read."""

    CALLS: ClassVar = {"live": Call("GET", "/livez"), "ready": Call("GET", "/readyz")}

    def succeeds(self, probe: str) -> bool:
        """Return whether the probe has a status of success."""
        return 200 <= self.send(probe).status < 300
