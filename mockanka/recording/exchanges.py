"""An exchange as a recorder saw it, complete or not, and its violations of the contract."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from mockanka.contract.conformance import Contract, Level, Violation
from mockanka.contract.exchange import Exchange, Headers


class IncompleteReason(StrEnum):
    """Why an exchange is incomplete. The texts are written to recordings, and read from them again."""

    REQUEST_INCOMPLETE = "the request is not whole"
    BODY_TOO_LARGE = "a body was too large to be kept"
    CLIENT_DISCONNECTED = "the client left before the answer was whole"
    PROXY_STOPPED = "the proxy was stopped before the answer was whole"
    BODY_UNDECODABLE = "the answer's body cannot be decoded"
    PROTOCOL_SWITCHED = "the connection went on in another protocol"
    TARGET_UNREACHABLE = "the target cannot be reached"
    NO_RESPONSE = "the connection ended without an answer"
    RESPONSE_CUT = "the connection ended in the middle of the answer"
    RESPONSE_RESET = "the connection was reset in the middle of the answer"
    NOT_HTTP = "the answer is no HTTP/1.1"


UNKNOWN_START = datetime.fromtimestamp(0, UTC)
"""The start of an exchange whose recording does not have it."""
UNCHECKED_REASONS = (IncompleteReason.REQUEST_INCOMPLETE, IncompleteReason.BODY_TOO_LARGE)
"""Reasons for which not even the request is checked."""
SERVER_FAULT_LEVELS = {
    IncompleteReason.TARGET_UNREACHABLE: Level.MUST,
    # It also happens if a client uses a connection again that was idle for too long.
    IncompleteReason.NO_RESPONSE: Level.SHOULD,
    IncompleteReason.RESPONSE_CUT: Level.MUST,
    IncompleteReason.RESPONSE_RESET: Level.MUST,
    IncompleteReason.NOT_HTTP: Level.MUST,
}
"""The reasons that are violations by the server, with their levels."""


@dataclass(frozen=True)
class RecordedExchange:
    """An exchange with its headers as they were on the wire, its times, and why it is incomplete.

    Without a response the status of the exchange is 0.
    """

    exchange: Exchange
    started_at: datetime = UNKNOWN_START
    url: str = ""
    request_version: str = "HTTP/1.1"
    request_headers: Headers = field(default_factory=list)
    response_headers: Headers = field(default_factory=list)
    response_version: str = "HTTP/1.1"
    reason_phrase: str = ""
    wait_seconds: float = 0.0
    """Seconds of the exchange until the response began."""
    transferred_size: int = 0
    """Bytes of the response's body on the wire, before it was decompressed."""
    incomplete: IncompleteReason | None = None
    incomplete_detail: str = ""


def find_violations(recorded: RecordedExchange, contract: Contract) -> list[Violation]:
    """Return the violations by the client and by the server that an exchange shows, as far as it is complete."""
    reason = recorded.incomplete
    if reason in UNCHECKED_REASONS:
        return []
    violations = contract.check_request(recorded.exchange)
    if reason is None:
        return violations + contract.check_response(recorded.exchange)
    if reason in SERVER_FAULT_LEVELS:
        operation = contract.operation(recorded.exchange.method, recorded.exchange.path) or {}
        text = f"{reason}: {recorded.incomplete_detail}" if recorded.incomplete_detail else str(reason)
        level = SERVER_FAULT_LEVELS[reason]
        violations.append(Violation("server", "no-answer", level, "", text, operation.get("operationId", "")))
    return violations


def join_headers(headers: Headers) -> dict[str, str]:
    """Return headers by their names in lower case; several values of a name are joined by commas."""
    joined: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined
