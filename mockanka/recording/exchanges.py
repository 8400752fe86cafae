"""An exchange as the proxy saw it, whole or broken, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from mockanka.contract.conformance import Contract, Level, Violation
from mockanka.contract.exchange import Exchange, Headers


class Broken(StrEnum):
    """Why an exchange is not whole."""

    UNSENT = "the request is not whole"
    LARGE = "a body was too large to be kept"
    LEFT = "the client left before the answer was whole"
    STOPPED = "the proxy was stopped before the answer was whole"
    ENCODED = "the answer's body cannot be decoded"
    SWITCHED = "the connection went on in another protocol"
    UNREACHABLE = "the target cannot be reached"
    SILENT = "the connection ended without an answer"
    CUT = "the connection ended in the middle of the answer"
    RESET = "the connection was reset in the middle of the answer"
    UNREAD = "the answer is no HTTP/1.1"


EPOCH = datetime.fromtimestamp(0, UTC)
UNJUDGED = (Broken.UNSENT, Broken.LARGE)
"""Not even the request can be judged."""
TO_BLAME = {
    Broken.UNREACHABLE: Level.MUST,
    Broken.SILENT: Level.SHOULD,  # as it happens where a connection that was idle too long is used again
    Broken.CUT: Level.MUST,
    Broken.RESET: Level.MUST,
    Broken.UNREAD: Level.MUST,
}
"""What the server did, and how bad it is."""


@dataclass(frozen=True)
class Recorded:
    """One exchange with what surrounds it. Without an answer its status is 0."""

    exchange: Exchange
    at: datetime = EPOCH
    url: str = ""
    version: str = "HTTP/1.1"
    asked: Headers = field(default_factory=list)
    answered: Headers = field(default_factory=list)
    answer_version: str = "HTTP/1.1"
    reason: str = ""
    waited: float = 0.0
    """Seconds until the answer began, of the exchange's."""
    size: int = 0
    """Bytes of the answer's body on the wire, before it was decoded."""
    broken: Broken | None = None
    detail: str = ""


def verdict(recorded: Recorded, contract: Contract) -> list[Violation]:
    """What client and server did wrong, as far as it can be told."""
    if recorded.broken in UNJUDGED:
        return []
    found = contract.check_request(recorded.exchange)
    if recorded.broken is None:
        return found + contract.check_response(recorded.exchange)
    if recorded.broken in TO_BLAME:
        operation = contract.operation(recorded.exchange.method, recorded.exchange.path) or {}
        text = f"{recorded.broken}{': ' * bool(recorded.detail)}{recorded.detail}"
        level = TO_BLAME[recorded.broken]
        found.append(Violation("server", "no-answer", level, "", text, operation.get("operationId", "")))
    return found
