"""Recordings as HAR 1.2 files: written while traffic passes, and read to be checked later.

haralyzer only reads HAR files, for pages and load times, and fails if optional fields are missing; hario-core depends
on pydantic and checks more than is read here. So a small JSON Schema says what a recording must have, and the validator
that the contract needs anyway reports where a file differs.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jsonschema import Draft202012Validator

from mockanka import __version__
from mockanka.contract.conformance import Violation
from mockanka.contract.exchange import JSON_TYPE, Exchange, Headers
from mockanka.contract.paths import STATUS_PATH
from mockanka.core.release import Release
from mockanka.recording.exchanges import UNKNOWN_START, IncompleteReason, RecordedExchange, join_headers
from mockanka.redaction import redact_body, redact_query, redact_url, redact_value

_HEADERS_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
    },
}
_BODY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "size": {"type": "number"}, "mimeType": {"type": "string"}},
}
_REQUEST_BODY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        **_BODY_SCHEMA["properties"],
        "params": {"type": "array", "items": {"type": "object"}},
    },
}
_ENTRY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["request", "response"],
    "properties": {
        "time": {"type": "number"},
        "startedDateTime": {"type": "string"},
        "timings": {"type": "object", "properties": {"wait": {"type": "number"}}},
        "request": {
            "type": "object",
            "required": ["method", "url"],
            "properties": {
                "method": {"type": "string"},
                "url": {"type": "string"},
                "headers": _HEADERS_SCHEMA,
                "bodySize": {"type": "number"},
                "postData": _REQUEST_BODY_SCHEMA,
            },
        },
        "response": {
            "type": "object",
            "required": ["status"],
            "properties": {"status": {"type": "integer"}, "headers": _HEADERS_SCHEMA, "content": _BODY_SCHEMA},
        },
    },
}
_HAR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["log"],
    "properties": {
        "log": {
            "type": "object",
            "required": ["version", "entries"],
            "properties": {
                "version": {"type": "string"},
                "creator": {"type": "object"},
                "_release": {"type": "string"},
                "entries": {"type": "array", "items": _ENTRY_SCHEMA},
            },
        }
    },
}


_ENTRIES = re.compile(r'"entries"\s*:\s*\[')
_SEPARATOR = re.compile(r"[\s,]*")


class InvalidHar(ValueError):
    """A file is not a HAR file, or not one that can be checked; the text says why."""


# ---- writing -------------------------------------------------------------------------------------------------------


class HarWriter:
    """Writes a recording, which is a complete HAR file after each exchange: a process that is killed loses none."""

    def __init__(self, path: Path, target: str, keep_secrets: bool = False) -> None:
        self.path, self._keep_secrets = path, keep_secrets
        self._file = path.open("wb", buffering=0)
        self._end = self._count = 0
        creator = {"name": "mockanka", "version": __version__}
        start = json.dumps({"version": "1.2", "creator": creator, "_target": target})
        try:
            self._append(f'{{"log":{start[:-1]}, "entries":[')
        except OSError:
            self._file.close()
            raise

    def add(self, recorded: RecordedExchange, violations: Sequence[Violation] | None) -> None:
        """Write an exchange; ``violations`` is None if it was not checked."""
        entry = to_har_entry(recorded, violations, self._keep_secrets)
        self._append(f"{',' if self._count else ''}\n{json.dumps(entry)}")
        self._count += 1

    def close(self, release: Release | None) -> None:
        """Close the file; ``release`` is the one that exchanges were checked against."""
        self._append("", "" if release is None else f', "_release": {json.dumps(str(release))}')
        self._file.truncate()
        os.fsync(self._file.fileno())
        self._file.close()

    def _append(self, text: str, last_items: str = "") -> None:
        """Write a text, and behind it the end of the file, which the next text replaces."""
        content = text.encode()
        self._file.seek(self._end)
        self._end += len(content)
        rest = memoryview(content + f"\n]{last_items}}}}}\n".encode())
        while rest:
            rest = rest[self._file.write(rest) :]


def to_har_entry(
    recorded: RecordedExchange, violations: Sequence[Violation] | None = None, keep_secrets: bool = False
) -> dict[str, Any]:
    """Return an exchange as a HAR entry, in which times are milliseconds and unknown sizes -1."""
    milliseconds, wait = round(recorded.exchange.seconds * 1000, 3), round(recorded.wait_seconds * 1000, 3)
    entry: dict[str, Any] = {
        "startedDateTime": recorded.started_at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "time": milliseconds,
        "request": _request_to_har(recorded, keep_secrets),
        "response": _response_to_har(recorded, keep_secrets),
        "cache": {},
        "timings": {"send": 0, "wait": wait, "receive": round(milliseconds - wait, 3)},
    }
    if recorded.incomplete is not None:
        entry["_error"] = str(recorded.incomplete)
        if recorded.incomplete_detail:
            entry["_detail"] = recorded.incomplete_detail
    if violations is not None:
        entry["_violations"] = [asdict(violation) for violation in violations]
    return entry


def _request_to_har(recorded: RecordedExchange, keep_secrets: bool) -> dict[str, Any]:
    exchange = recorded.exchange
    query = exchange.query if keep_secrets else redact_query(exchange.query)
    parameters = parse_qsl(query, keep_blank_values=True)
    request = {
        "method": exchange.method,
        "url": recorded.url if keep_secrets else redact_url(recorded.url),
        "httpVersion": recorded.request_version,
        "cookies": [],
        "headers": _headers_to_har(recorded.request_headers, keep_secrets),
        "queryString": [{"name": name, "value": value} for name, value in parameters],
        "headersSize": -1,
        "bodySize": len(exchange.request_content),
    }
    if exchange.request_content:
        content_type = next((value for name, value in recorded.request_headers if name.lower() == "content-type"), "")
        body = _body_to_har(exchange.request_content, "_encoding", content_type, keep_secrets)
        request["postData"] = {"mimeType": content_type, "params": [], **body}
    return request


def _response_to_har(recorded: RecordedExchange, keep_secrets: bool) -> dict[str, Any]:
    exchange = recorded.exchange
    content_type = exchange.headers.get("content-type", "")
    content = {"size": len(exchange.response_content), "mimeType": content_type}
    location = exchange.headers.get("location", "")
    if len(exchange.response_content) != recorded.transferred_size:
        content["compression"] = len(exchange.response_content) - recorded.transferred_size
    return {
        "status": exchange.status,
        "statusText": recorded.reason_phrase,
        "httpVersion": recorded.response_version,
        "cookies": [],
        "headers": _headers_to_har(recorded.response_headers, keep_secrets),
        "content": {**content, **_body_to_har(exchange.response_content, "encoding", content_type, keep_secrets)},
        "redirectURL": location if keep_secrets else redact_url(location),
        "headersSize": -1,
        "bodySize": recorded.transferred_size,
    }


def _headers_to_har(headers: Headers, keep_secrets: bool) -> list[dict[str, str]]:
    return [{"name": name, "value": redact_value(name, value, keep_secrets)} for name, value in headers]


def _body_to_har(content: bytes, encoding_key: str, content_type: str, keep_secrets: bool) -> dict[str, str]:
    """Return a body as text, or in base64 if it is not UTF-8; such a body is not searched for secrets."""
    try:
        text = content.decode()
        return {"text": text if keep_secrets else redact_body(text, content_type)}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(content).decode(), encoding_key: "base64"}


# ---- reading -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recording:
    """The contents of a HAR file."""

    exchanges: list[RecordedExchange]
    release: Release | None = None
    """The release that the exchanges were checked against, if the file has it."""
    is_from_proxy: bool = True
    """True if the proxy made it. A browser also records requests to other servers."""
    is_cut: bool = False
    """True if the file ends in the middle; the exchanges are those before."""

    @property
    def controller_release(self) -> Release | None:
        """The release of the recording, else the one in the first recorded status."""
        if self.release is not None:
            return self.release
        for recorded in self.exchanges:
            body = recorded.exchange.body if recorded.exchange.path == STATUS_PATH else None
            if isinstance(body, dict):
                try:
                    return Release.from_version(str(body.get("version")))
                except ValueError:
                    continue
        return None


def read_har(path: Path) -> Recording:
    """Read a HAR file, or what there is of one that was cut off. InvalidHar if it cannot be read or is malformed."""
    log, is_cut = _read_log(path)
    try:
        release = Release.parse(log["_release"]) if "_release" in log else None
    except ValueError as error:
        raise InvalidHar(f"{path} is not a HAR file: $.log._release: {error}") from None
    exchanges = []
    for number, entry in enumerate(log["entries"]):
        try:
            exchanges.append(from_har_entry(entry))
        except ValueError as error:
            raise InvalidHar(f"{path} is not a HAR file: $.log.entries[{number}]: {error}") from None
    return Recording(exchanges, release, log.get("creator", {}).get("name") == "mockanka", is_cut)


def _read_log(path: Path) -> tuple[dict[str, Any], bool]:
    """Return the log of a HAR file, and whether it is cut off."""
    is_cut = False
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise InvalidHar(f"{path} cannot be read: {error.strerror}") from None
    try:
        data = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        data = _read_cut_log(raw.decode("utf-8-sig", "replace"))
        if data is None:
            raise InvalidHar(f"{path} is not a HAR file: it is not JSON: {error}") from None
        is_cut = True
    data = without_nulls(data)
    errors = Draft202012Validator(_HAR_SCHEMA).iter_errors(data)
    for schema_error in sorted(errors, key=lambda schema_error: list(map(str, schema_error.path))):
        raise InvalidHar(f"{path} is not a HAR file: {schema_error.json_path}: {schema_error.message[:200]}")
    log: dict[str, Any] = data["log"]
    if not log["version"].startswith("1."):
        raise InvalidHar(f"{path} has HAR version {log['version']}; 1.2 can be read")
    return log, is_cut


def _read_cut_log(text: str) -> dict[str, Any] | None:
    """Return the data of a HAR file that ends in the middle of its entries, or None if it is none."""
    start = _ENTRIES.search(text)
    if start is None:
        return None
    decoder, entries, position = json.JSONDecoder(), [], start.end()
    while True:
        try:
            entry, position = decoder.raw_decode(text, _SEPARATOR.match(text, position).end())  # type: ignore[union-attr]
        except (ValueError, RecursionError) as error:
            is_at_end = isinstance(error, json.JSONDecodeError) and _is_cut_off(text, error)
            break
        entries.append(entry)
    if not is_at_end:
        return None
    try:
        data: dict[str, Any] = json.loads(text[: start.end()] + "]}}")
    except (ValueError, RecursionError):
        return None
    data["log"]["entries"] = entries
    return data


def _is_cut_off(text: str, error: json.JSONDecodeError) -> bool:
    """Return whether the error of a JSON text is at its end, where a literal may be cut, or in an open string."""
    return len(text[error.pos :].strip()) < len("false") or error.msg.startswith("Unterminated string")


def without_nulls(value: Any) -> Any:
    """Return JSON data in which no member of an object is null; programs write null for what they leave out."""
    if isinstance(value, dict):
        return {key: without_nulls(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def from_har_entry(entry: dict[str, Any]) -> RecordedExchange:
    """Return the exchange of a HAR entry, of the proxy or of another program. ValueError if it is malformed."""
    request, response = entry["request"], entry["response"]
    url = urlsplit(request["url"])
    response_headers = _headers_from_har(response.get("headers", []))
    content = response.get("content", {})
    request_content = _request_body_from_har(request.get("postData", {}))
    response_content = _body_from_har(content, "encoding")
    headers = join_headers(response_headers)
    if not headers and content.get("mimeType"):  # the program left the headers out
        is_unknown = content["mimeType"] == "x-unknown" and response_content.startswith(b"{")
        headers = {"content-type": JSON_TYPE if is_unknown else content["mimeType"]}
    incomplete, detail = _incomplete_reason(entry, response)
    if incomplete is None and request.get("bodySize", -1) > 0 and not request_content:
        incomplete, detail = IncompleteReason.REQUEST_INCOMPLETE, "the recording leaves its body out"
    if incomplete is None:
        if "text" not in content and content.get("size", 0) > 0:
            incomplete, detail = IncompleteReason.BODY_UNDECODABLE, "the recording leaves it out"
        elif _is_cut(response_content, content, headers):
            incomplete, detail = IncompleteReason.BODY_UNDECODABLE, "the recording has only a part of it"
    exchange = Exchange(
        method=request["method"],
        path=url.path or "/",
        query=url.query,
        request_content=request_content,
        status=response["status"],
        headers=headers,
        response_content=response_content,
        seconds=max(0.0, round(entry.get("time", 0) / 1000, 6)),
        accept_encoding=join_headers(_headers_from_har(request.get("headers", []))).get("accept-encoding"),
    )
    start = entry.get("startedDateTime")
    started_at = datetime.fromisoformat(start) if start is not None else UNKNOWN_START
    wait = entry.get("timings", {}).get("wait", 0)
    return RecordedExchange(
        exchange,
        started_at=started_at if started_at.tzinfo else started_at.replace(tzinfo=UTC),
        url=request["url"],
        request_version=request.get("httpVersion", ""),
        request_headers=_headers_from_har(request.get("headers", [])),
        response_headers=response_headers,
        response_version=response.get("httpVersion", ""),
        reason_phrase=response.get("statusText", ""),
        wait_seconds=round(wait / 1000, 6),
        transferred_size=response.get("bodySize", -1),
        incomplete=incomplete,
        incomplete_detail=detail,
    )


def _headers_from_har(headers: list[dict[str, str]]) -> Headers:
    return [(header["name"], header.get("value", "")) for header in headers]


def _request_body_from_har(body: dict[str, Any]) -> bytes:
    """Return the body of a request; of a form from its parameters, as some programs record what curl sends."""
    if "text" in body or not body.get("params"):
        return _body_from_har(body, "_encoding")
    pairs = [(str(parameter.get("name", "")), str(parameter.get("value", ""))) for parameter in body["params"]]
    return "&".join(f"{name}={value}" if value else name for name, value in pairs).encode("utf-8", "surrogatepass")


def _is_cut(received: bytes, content: dict[str, Any], headers: Mapping[str, str]) -> bool:
    """Return whether a body is the beginning of a longer one: it should be longer, and is no JSON as it is."""
    length = headers.get("content-length", "")
    is_plain = "content-encoding" not in headers and re.fullmatch(r"[0-9]{1,15}", length, re.ASCII) is not None
    expected = max(content.get("size", 0), int(length) if is_plain else 0)
    if len(received) >= expected:
        return False
    try:
        json.loads(received)
    except (ValueError, RecursionError):
        return True
    return False


def _body_from_har(body: dict[str, str], encoding_key: str) -> bytes:
    text = body.get("text", "")
    if body.get(encoding_key) != "base64":
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"a body is not base64: {error}") from None


def _incomplete_reason(entry: dict[str, Any], response: dict[str, Any]) -> tuple[IncompleteReason | None, str]:
    """Return why an exchange is incomplete, and details. Browsers write texts of their own, or a status of 0."""
    error = entry.get("_error") or response.get("_error")
    if error in list(IncompleteReason):
        return IncompleteReason(error), str(entry.get("_detail", ""))
    if error or response["status"] == 0:
        return IncompleteReason.CLIENT_DISCONNECTED, str(error or "")
    return None, ""
