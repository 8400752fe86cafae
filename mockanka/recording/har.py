"""Recordings as HAR 1.2 files: written while the traffic passes, and read to be judged later.

Nothing but JSON is needed for either. haralyzer only reads, for pages and load times, and takes whatever is missing for
granted; hario-core brings pydantic and checks more than we read. So a small schema says what a recording must have, and
the validator that the contract needs anyway says where one has not.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import parse_qsl, urlsplit

from jsonschema import Draft202012Validator

from mockanka import __version__
from mockanka.contract.conformance import Violation, contract_of
from mockanka.contract.exchange import Exchange, Headers
from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.recording.exchanges import EPOCH, Broken, Recorded, verdict

REDACTED = "redacted"
SECRET = re.compile(r"auth|cookie|token|secret|session|credential|passw|api-?key", re.IGNORECASE)
"""Headers whose names look like this carry what nobody else should have."""
STATUS = "/api/v1/status"

_HEADERS: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name", "value"],
        "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
    },
}
_BODY: dict[str, Any] = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "size": {"type": "number"}},
}
_ENTRY: dict[str, Any] = {
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
                "headers": _HEADERS,
                "postData": {"anyOf": [{"type": "null"}, _BODY]},
            },
        },
        "response": {
            "type": "object",
            "required": ["status", "headers", "content"],
            "properties": {"status": {"type": "integer"}, "headers": _HEADERS, "content": _BODY},
        },
    },
}
_HAR: dict[str, Any] = {
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
                "entries": {"type": "array", "items": _ENTRY},
            },
        }
    },
}


class NoRecording(ValueError):
    """A file is no HAR file, or none that can be judged; the text says why."""


# ---- writing -------------------------------------------------------------------------------------------------------


class Writer:
    """A recording on its way to a file. It is there under its name, whole, once it is closed; until then beside it."""

    def __init__(self, path: Path, target: str, keep_secrets: bool = False) -> None:
        self.path, self._keep_secrets = path, keep_secrets
        self._part = path.with_name(f".{path.name}.part")
        self._file: TextIO = self._part.open("w", encoding="utf-8")
        creator = {"name": "mockanka", "version": __version__}
        start = json.dumps({"version": "1.2", "creator": creator, "_target": target})
        self._file.write(f'{{"log":{start[:-1]}, "entries":[')
        self.count = 0

    def add(self, recorded: Recorded, violations: Sequence[Violation] | None) -> None:
        """Write an entry; None if nobody has judged it."""
        entry = entry_of(recorded, violations, self._keep_secrets)
        self._file.write(f"{',' if self.count else ''}\n{json.dumps(entry)}")
        self.count += 1

    def close(self, release: Release | None) -> None:
        """Make it whole, and give it its name."""
        said = f', "_release": {json.dumps(str(release))}' if release is not None else ""
        self._file.write(f"\n]{said}}}}}\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self.path)

    def discard(self) -> None:
        """Write nothing after all."""
        self._file.close()
        self._part.unlink(missing_ok=True)


def entry_of(
    recorded: Recorded, violations: Sequence[Violation] | None = None, keep_secrets: bool = False
) -> dict[str, Any]:
    """An exchange as HAR has it; times are milliseconds there, and sizes that nobody knows are -1."""
    exchange = recorded.exchange
    asked, answered = (
        [
            {"name": name, "value": value if keep_secrets or not SECRET.search(name) else REDACTED}
            for name, value in headers
        ]
        for headers in (recorded.asked, recorded.answered)
    )
    query = [{"name": name, "value": value} for name, value in parse_qsl(exchange.query, keep_blank_values=True)]
    request = {
        "method": exchange.method,
        "url": recorded.url,
        "httpVersion": recorded.version,
        "cookies": [],
        "headers": asked,
        "queryString": query,
        "headersSize": -1,
        "bodySize": len(exchange.request_content),
    }
    if exchange.request_content:
        kind = next((value for name, value in recorded.asked if name.lower() == "content-type"), "")
        request["postData"] = {"mimeType": kind, "params": [], **_text(exchange.request_content, "_encoding")}
    content = {"size": len(exchange.response_content), "mimeType": exchange.headers.get("content-type", "")}
    if len(exchange.response_content) != recorded.size:
        content["compression"] = len(exchange.response_content) - recorded.size
    response = {
        "status": exchange.status,
        "statusText": recorded.reason,
        "httpVersion": recorded.answer_version,
        "cookies": [],
        "headers": answered,
        "content": {**content, **_text(exchange.response_content, "encoding")},
        "redirectURL": exchange.headers.get("location", ""),
        "headersSize": -1,
        "bodySize": recorded.size,
    }
    took, waited = round(exchange.seconds * 1000, 3), round(recorded.waited * 1000, 3)
    entry: dict[str, Any] = {
        "startedDateTime": recorded.at.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "time": took,
        "request": request,
        "response": response,
        "cache": {},
        "timings": {"send": 0, "wait": waited, "receive": round(took - waited, 3)},
    }
    if recorded.broken is not None:
        entry["_error"] = str(recorded.broken)
        if recorded.detail:
            entry["_detail"] = recorded.detail
    if violations is not None:
        entry["_violations"] = [asdict(each) for each in violations]
    return entry


def _text(content: bytes, name: str) -> dict[str, str]:
    """A body as text, or in base64 if it is none."""
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(content).decode(), name: "base64"}


# ---- reading -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recording:
    """What a file holds."""

    entries: list[Recorded]
    release: Release | None = None
    """The release that it was judged by, if it says so."""
    ours: bool = True
    """It was made by the proxy, and not by a browser, which asks for much else."""

    @property
    def seen_release(self) -> Release | None:
        """The release by which to judge it: that it says, or else the first that a status in it told."""
        if self.release is not None:
            return self.release
        for each in self.entries:
            body = each.exchange.body if each.exchange.path == STATUS else None
            if isinstance(body, dict):
                try:
                    return Release.from_version(str(body.get("version")))
                except ValueError:
                    continue
        return None


@dataclass(frozen=True)
class Judged:
    """An exchange of a recording, and what is wrong with it."""

    recorded: Recorded
    violations: list[Violation]


def read(path: Path) -> list[Exchange]:
    """The exchanges of a recording, whole or not. NoRecording if it is none."""
    return [each.exchange for each in load(path).entries]


def load(path: Path) -> Recording:
    """A recording. NoRecording, with the reason, if it is none."""
    try:
        loaded = json.loads(path.read_text("utf-8-sig"))
    except OSError as wrong:
        raise NoRecording(f"{path} cannot be read: {wrong.strerror}") from None
    except (ValueError, RecursionError) as wrong:
        raise NoRecording(f"{path} is no HAR file: it is not JSON: {wrong}") from None
    for error in sorted(Draft202012Validator(_HAR).iter_errors(loaded), key=lambda each: list(map(str, each.path))):
        raise NoRecording(f"{path} is no HAR file: {error.json_path}: {error.message[:200]}")
    log = loaded["log"]
    if not log["version"].startswith("1."):
        raise NoRecording(f"{path} is of HAR version {log['version']}; 1.2 can be read")
    try:
        release = Release.parse(log["_release"]) if "_release" in log else None
    except ValueError as wrong:
        raise NoRecording(f"{path} is no HAR file: $.log._release: {wrong}") from None
    entries = []
    for number, entry in enumerate(log["entries"]):
        try:
            entries.append(recorded_of(entry))
        except ValueError as wrong:
            raise NoRecording(f"{path} is no HAR file: $.log.entries[{number}]: {wrong}") from None
    return Recording(entries, release, log.get("creator", {}).get("name") == "mockanka")


def judge_recording(recording: Recording, release: Release | None = None) -> Iterator[Judged]:
    """Each exchange with what is wrong with it, by that release, or the recording's, or today's."""
    contract = contract_of(release or recording.seen_release or DEFAULT_RELEASE)
    for each in recording.entries:
        yield Judged(each, verdict(each, contract))


def recorded_of(entry: dict[str, Any]) -> Recorded:
    """An entry of a HAR file, ours or another program's. ValueError if it does not make sense."""
    request, response = entry["request"], entry["response"]
    url = urlsplit(request["url"])
    asked, answered = _pairs(request.get("headers", [])), _pairs(response["headers"])
    content = response["content"]
    broken, detail = _broken(entry, response)
    if broken is None and "text" not in content and content.get("size", 0) > 0:
        broken, detail = Broken.ENCODED, "the recording leaves it out"
    exchange = Exchange(
        method=request["method"],
        path=url.path or "/",
        query=url.query,
        request_content=_bytes(request.get("postData") or {}, "_encoding"),
        status=response["status"],
        headers=joined(answered),
        response_content=_bytes(content, "encoding"),
        seconds=max(0.0, round(entry.get("time", 0) / 1000, 6)),
    )
    at = datetime.fromisoformat(entry["startedDateTime"]) if "startedDateTime" in entry else EPOCH
    waited = entry.get("timings", {}).get("wait", 0)
    return Recorded(
        exchange,
        at=at if at.tzinfo else at.replace(tzinfo=UTC),
        url=request["url"],
        version=request.get("httpVersion", ""),
        asked=asked,
        answered=answered,
        answer_version=response.get("httpVersion", ""),
        reason=response.get("statusText", ""),
        waited=round(waited / 1000, 6),
        size=response.get("bodySize", -1),
        broken=broken,
        detail=detail,
    )


def joined(headers: Headers) -> dict[str, str]:
    """Headers by their names in lower case; of several the values are joined."""
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def _pairs(headers: list[dict[str, str]]) -> Headers:
    return [(each["name"], each["value"]) for each in headers]


def _bytes(body: dict[str, str], name: str) -> bytes:
    text = body.get("text", "")
    if body.get(name) != "base64":
        return text.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as wrong:
        raise ValueError(f"a body is no base64: {wrong}") from None


def _broken(entry: dict[str, Any], response: dict[str, Any]) -> tuple[Broken | None, str]:
    """Why an exchange is not whole; browsers say it in words of their own, and by a status of 0."""
    said = entry.get("_error") or response.get("_error")
    if said in list(Broken):
        return Broken(said), str(entry.get("_detail", ""))
    if said or response["status"] == 0:
        return Broken.LEFT, str(said or "")
    return None, ""
