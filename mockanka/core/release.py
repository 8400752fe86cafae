"""Which controller release is simulated, and since which release each feature is there."""

import re
from typing import NamedTuple


class Release(NamedTuple):
    """A controller release; compares as releases do."""

    major: int
    minor: int
    patch: int = 0

    @classmethod
    def parse(cls, text: str) -> "Release":
        """``1.8.0`` or ``1.8``; anything else, and anything before 1.8.0, is a ValueError that says so."""
        match = re.fullmatch(r"(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", text, re.ASCII)
        if match is None:
            raise ValueError(f"{text!r} is no release: give one like {DEFAULT}")
        release = cls(*(int(part or 0) for part in match.groups()))
        if release < OLDEST:
            raise ValueError(f"release {release} is older than {OLDEST}, the oldest that is simulated")
        return release

    def has(self, feature: str) -> bool:
        """Whether this release has a feature of the table below."""
        return self >= SINCE[feature]

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


OLDEST = Release(1, 8, 0)
DEFAULT = OLDEST

SINCE: dict[str, Release] = {
    # FAIL came with HTTP 200 in 2019 and with 400 in 2022 (controller-facts A0.3). Guess: nobody saw the change.
    "failure-status-400": Release(1, 20, 0),
    # The tag a start did not name is filled in from the template (controller-facts A1, fixed in 1.24.1).
    "tag-filled-in": Release(1, 24, 1),
    # script_monitoring and its relatives, and what such a script left behind (controller-facts A1, A2.4).
    "script-monitoring": Release(1, 24, 0),
    # Asking for one node by id no longer blanks its Anka version and capacity mode (controller-facts B10).
    "node-by-id-whole": Release(1, 32, 0),
    # Nodes may be in Drain Mode (controller-facts C5).
    "drain-mode": Release(1, 32, 0),
    # Nodes that are Unhealthy are among those a distribution goes to (controller-facts A16).
    "distribute-to-unhealthy": Release(1, 33, 0),
}
