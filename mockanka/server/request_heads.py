"""Heads of requests as Go's server reads them: what it takes is made plain for the parser, what it refuses is refused.

The real controller is a program in Go; each rule and each answer here is that of its net/http (seen of Go 1.26).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

MAX_HEAD = 1024 * 1024 + 4096
"""Bytes of a head: the limit of net/http, and the room that it leaves beyond it."""
CHUNKED = -1
"""The length of a body that comes in chunks."""
MASKED_UPGRADE = b"mockanka-upgrade"
"""The name under which the parser gets ``Upgrade``, whose body it would take for another protocol."""
MAX_SMALL_HEAD = 4096
MAX_PARSED_TARGET = 60_000
"""Bytes of a request target that the parser is given; it cannot split one of 64 KiB."""

HEAD_END = re.compile(rb"\n\r?\n")
_PLAIN_HEAD = re.compile(
    rb"(?:GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH) /(?:[!$&-~]|%[0-9A-Fa-f]{2})* HTTP/1\.[01]\r\n"
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[ \t]*(?:[!-~](?:[ \t!-~]*[!-~])?)?[ \t]*\r\n)*\r\n"
)
_is_plain = _PLAIN_HEAD.fullmatch
# It leaves the spaces around a value to strip(): in the expression they would take time that grows with their square.
_SPECIAL_HEADER = re.compile(rb"\n(host|content-length|transfer-encoding|expect|upgrade):([^\r\n]*+)\r", re.IGNORECASE)
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PARSED_METHODS = frozenset({b"GET", b"POST", b"PUT", b"DELETE", b"HEAD", b"OPTIONS", b"PATCH"})
_HEADER_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z ]+")
_HOST = re.compile(rb"[!$%&'()*+,\-.0-9:;=@A-Z\[\]_a-z~]*")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9+.\-]*):")
_AUTHORITY = re.compile(rb"//(?:[^/@]*@)?(?:\[[^\]/]*\]|[^/:\[\]]*)(?::[0-9]*)?(?=/|$)")
_UNSAFE = re.compile(rb"[^!$-~]")


class Target(NamedTuple):
    """The method, path and query of a request that the parser cannot be given."""

    method: str
    path: str
    raw_path: bytes
    query: bytes


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A head as the parser takes it.

    ``length`` is that of the body. ``target`` replaces what the parser reads. ``masks_upgrade`` says that a header has
    another name.
    """

    content: bytes
    length: int = 0
    target: Target | None = None
    masks_upgrade: bool = False


class HeadRefused(Exception):
    """The server answers a head by itself, and closes the connection; ``response`` has the bytes of its answer."""

    def __init__(self, status: str, text: str | None = None, headers: str | None = None) -> None:
        super().__init__(status)
        if headers is None:
            headers = "Content-Type: text/plain; charset=utf-8\r\nConnection: close"
            text = status if text is None else text
        self.response = f"HTTP/1.1 {status}\r\n{headers}\r\n\r\n{text or ''}".encode()


BAD_REQUEST = "400 Bad Request"
TOO_LARGE = "431 Request Header Fields Too Large"


def read_head(head: bytes) -> RequestHead:
    """Return a complete head, with the empty line at its end, for the parser. Raises HeadRefused."""
    found = _SPECIAL_HEADER.findall(head)
    special = {name.lower(): value.strip(b" \t") for name, value in found}
    is_usual = len(head) < MAX_PARSED_TARGET and len(found) == len(special)
    host, length = special.pop(b"host", None), special.pop(b"content-length", b"0")
    has_length = length.isdigit() and len(length) < 16
    if is_usual and not special and has_length and host is not None and _HOST.fullmatch(host) and _is_plain(head):
        return RequestHead(head, int(length))
    return _read_odd_head(head)


@lru_cache(256)
def read_small_head(head: bytes) -> RequestHead:
    """Return a complete head for the parser, one of those that clients send again and again. Raises HeadRefused."""
    return read_head(head)


def check_request_line(line: bytes) -> None:
    """Raise HeadRefused if a request line, without its end, is malformed."""
    _split_request_line(line.removesuffix(b"\r"))


def _read_odd_head(head: bytes) -> RequestHead:
    line, *lines = head.replace(b"\r\n", b"\n").removesuffix(b"\n\n").split(b"\n")
    method, raw_target, version = _split_request_line(line)
    path, query = _split_target(raw_target, method)
    headers = list(_headers(lines))
    values = {name: [value for key, value in headers if key.lower() == name] for name in _NAMES}
    if len(values[b"host"]) > 1:
        raise HeadRefused(BAD_REQUEST)
    length = _body_length(values[b"transfer-encoding"], values[b"content-length"], version)
    if version[:1] != b"1" and (method, raw_target, version) != (b"PRI", b"*", b"2.0"):
        raise _refuse("505 HTTP Version Not Supported", "unsupported protocol version")
    if not values[b"host"] and version not in (b"1.0", b"2.0") and method != b"CONNECT":
        raise _refuse(BAD_REQUEST, "missing required Host header")
    if values[b"host"] and _HOST.fullmatch(values[b"host"][0]) is None:
        raise _refuse(BAD_REQUEST, "malformed Host header")
    if any(b" " in name for name, _ in headers):
        raise _refuse(BAD_REQUEST, "invalid header name")
    if values[b"expect"] and b"100-continue" not in values[b"expect"][0].lower():
        raise HeadRefused("417 Expectation Failed", headers="Connection: close\r\nContent-Length: 0")
    kept = [(name, value) for name, value in headers if name.lower() not in (b"transfer-encoding", b"content-length")]
    if length == CHUNKED:
        kept.append((b"transfer-encoding", b"chunked"))
    elif values[b"content-length"]:
        kept.append((b"content-length", b"%d" % length))
    return _plain_head(method, path, query, b"1.0" if version == b"1.0" else b"1.1", kept, length)


_NAMES = (b"host", b"content-length", b"transfer-encoding", b"expect")


def _plain_head(
    method: bytes, path: bytes, query: bytes, version: bytes, headers: list[tuple[bytes, bytes]], length: int
) -> RequestHead:
    names = {name: MASKED_UPGRADE for name, _ in headers if name.lower() == b"upgrade"}
    lines = b"".join(b"%s: %s\r\n" % (names.get(name, name), value) for name, value in headers) + b"\r\n"
    raw_path = _UNSAFE.sub(lambda byte: b"%%%02X" % byte[0][0], path)
    target = raw_path + (b"?" + query if query else b"")
    if method in _PARSED_METHODS and raw_path.startswith(b"/") and len(target) <= MAX_PARSED_TARGET:
        safe = _UNSAFE.sub(lambda byte: b"%%%02X" % byte[0][0], target)
        return RequestHead(b"%s %s HTTP/%s\r\n%s" % (method, safe, version, lines), length, None, bool(names))
    replacement = Target(method.decode("latin-1"), unquote(raw_path.decode("ascii")), raw_path, query)
    known = method if method in _PARSED_METHODS else b"POST"
    return RequestHead(b"%s / HTTP/%s\r\n%s" % (known, version, lines), length, replacement, bool(names))


def _refuse(status: str, reason: str) -> HeadRefused:
    return HeadRefused(f"{status}: {reason}")


def _split_request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the method, the target and the version of a request line, the latter like 1.1."""
    method, _, rest = line.partition(b" ")
    target, space, protocol = rest.partition(b" ")
    version = protocol.removeprefix(b"HTTP/")
    is_version = protocol.startswith(b"HTTP/") and re.fullmatch(rb"[0-9]\.[0-9]", version) is not None
    if not space or _METHOD.fullmatch(method) is None or not is_version:
        raise HeadRefused(BAD_REQUEST)
    _split_target(target, method)
    return method, target, version


def _split_target(target: bytes, method: bytes) -> tuple[bytes, bytes]:
    """Return the path and the query of a request target, which may be a whole URL."""
    if not target or _CONTROL.search(target) or b"\t" in target:
        raise HeadRefused(BAD_REQUEST)
    if target == b"*":
        return target, b""
    if method == b"CONNECT" and not target.startswith(b"/"):
        return b"", b""
    scheme = _SCHEME.match(target)
    rest, _, query = target[scheme.end() if scheme else 0 :].partition(b"?")
    if not rest.startswith(b"/"):
        if scheme is None:
            raise HeadRefused(BAD_REQUEST)
        return b"", query
    if scheme is not None and rest.startswith(b"//"):
        authority = _AUTHORITY.match(rest)
        if authority is None:
            raise HeadRefused(BAD_REQUEST)
        rest = rest[authority.end() :]
    if _BROKEN_ESCAPE.search(rest):
        raise HeadRefused(BAD_REQUEST)
    return rest, query


def _headers(lines: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield names and values; a line that begins with a space continues the one before it."""
    folded: list[list[bytes]] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and folded:
            folded[-1].append(line.strip(b" \t\r"))
        else:
            folded.append([line])
    for first, *others in folded:
        line = b" ".join([first.rstrip(b" \t\r"), *filter(None, others)]) if others else first
        name, colon, value = line.partition(b":")
        if not colon or _HEADER_NAME.fullmatch(name) is None or name[:1] == b" " or _CONTROL.search(value):
            raise HeadRefused(BAD_REQUEST)
        yield name, value.strip(b" \t")


def _body_length(encodings: list[bytes], lengths: list[bytes], version: bytes) -> int:
    is_chunked = bool(encodings) and version != b"1.0"
    if is_chunked:
        if len(encodings) != 1 or encodings[0].lower() != b"chunked":
            raise HeadRefused("501 Not Implemented", "Unsupported transfer encoding")
    elif not lengths:
        return 0
    # A length beside chunks means nothing, but must be one.
    if lengths and (
        len(set(lengths)) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 40 or int(lengths[0]) >= 2**63
    ):
        raise HeadRefused(BAD_REQUEST)
    return CHUNKED if is_chunked else int(lengths[0])
