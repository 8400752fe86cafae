"""How a real controller is asked: every request ends in an exchange, or in a text that says what to do."""

from __future__ import annotations

import errno
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from mockanka import __version__
from mockanka.contract.exchange import Exchange
from mockanka.core.release import Release
from mockanka.remote.deadline import Cutter

STATUS = "/api/v1/status"
LARGEST = 256 * 1024 * 1024
"""Bytes of an answer; who sends more does not stop by itself."""


class Unusable(Exception):
    """What is asked is no controller, or does not let us in; the text says what is wrong and what to do."""


class Unanswered(Unusable):
    """A request that was sent, or could not be, and has no whole answer."""


class OutOfTime(Unanswered):
    """The limit on the whole is reached."""


@dataclass(frozen=True)
class Access:
    """How to get in: a root token or a client certificate, further headers, and whom to trust."""

    token: str | None = None
    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    insecure: bool = False
    headers: Sequence[tuple[str, str]] = ()


def read_header(text: str) -> tuple[str, str]:
    """``Name: value``; ValueError if it is none."""
    name, colon, value = text.partition(":")
    if not (colon and name.strip()) or not text.isascii() or not text.isprintable():
        raise ValueError(f"{text!r} is no header: write it like 'X-Team: builds'")
    return name.strip(), value.strip()


def read_url(url: str, instead: str = "give --token or --header instead") -> httpx.URL:
    """The address of a controller; Unusable if it is none, or has a user in it: ``instead`` says where that goes."""
    hint = "write it like http://anka.example:8090"
    try:
        read = httpx.URL(url.strip())
    except httpx.InvalidURL as wrong:
        raise Unusable(f"{url!r} is no URL ({wrong}): {hint}") from None
    if read.scheme not in ("http", "https") or not read.host:
        raise Unusable(f"{url!r} is no URL of a controller: {hint}")
    if read.userinfo:
        raise Unusable(f"the URL of {read.host} has a user in it, which would be shown: {instead}")
    if read.query or read.fragment:
        raise Unusable(f"{url!r} has more than host, port and path: {hint}")
    return read


class Remote:
    """A controller asked over HTTP. Redirects are not followed; every request has a limit, and so has the whole.

    ``clock`` is what the limits are measured by; ``transport`` replaces the network.
    """

    def __init__(
        self,
        url: str,
        access: Access | None = None,
        timeout: float = 10.0,
        limit: float | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = read_url(url)
        self.access = access or Access()
        self.timeout = timeout
        self.clock = clock
        self.deadline = None if limit is None else clock() + limit
        self.limit = limit
        self.heard: list[Callable[[Exchange], None]] = []
        """Who is told of every exchange."""
        self._cutter = Cutter()
        headers = [("User-Agent", f"mockanka/{__version__}"), ("Accept-Encoding", "identity"), *self.access.headers]
        self._client = httpx.Client(
            auth=None if self.access.token is None else httpx.BasicAuth("root", self.access.token),
            headers=headers,
            verify=trust(self.access, self.url.scheme),
            timeout=timeout,
            limits=httpx.Limits(keepalive_expiry=2.0),
            transport=transport,
        )

    def __enter__(self) -> Remote:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def allow(self, seconds: float) -> None:
        """Begin a new limit on the whole, as what must be cleaned up is not what took long."""
        self.deadline, self.limit = self.clock() + seconds, seconds

    def ask(
        self, method: str, path: str, query: str = "", body: Any = None, content_type: str | None = "application/json"
    ) -> Exchange:
        """Send one request; a body of bytes goes as it is, others as JSON. Unanswered if nothing whole comes back."""
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        begun = self.clock()
        within = self._within(begun)
        name = f"{method} {path}{'?' + query if query else ''}"
        base = self.url.raw_path.rstrip(b"/")
        target = self.url.copy_with(raw_path=base + path.encode() + (b"?" + query.encode() if query else b""))
        headers = {"Content-Type": content_type} if sent and content_type else {}
        try:
            request = self._client.build_request(
                method,
                target,
                content=sent or None,
                headers=headers,
                timeout=within,
                extensions={"trace": self._cutter.trace},
            )
            with self._cutter.after(within):
                answer = self._client.send(request, stream=True)
                try:
                    content = b"".join(self._read(answer, begun + within, name))
                finally:
                    answer.close()
        except httpx.TimeoutException:
            raise self._late(name, begun + within) from None
        except (httpx.HTTPError, OSError) as wrong:
            if self._cutter.late:
                raise self._late(name, begun + within) from None
            raise Unanswered(self._why(wrong, name)) from wrong
        known = {key.lower(): value for key, value in answer.headers.items()}
        took = self.clock() - begun
        exchange = Exchange(method, path, query, sent, answer.status_code, known, content, took)
        for hear in self.heard:
            hear(exchange)
        return exchange

    def read(self, path: str, query: str = "") -> Any:
        """The body of a success in answer to a GET; Unusable if it is none."""
        exchange = self.usable(self.ask("GET", path, query))
        if not exchange.succeeded:
            raise Unusable(f"GET {path} fails at {self.url}: {exchange.message or exchange.status}")
        return exchange.body

    def usable(self, exchange: Exchange) -> Exchange:
        """The exchange if its answer is one of a controller that lets us in; else Unusable, with the reason."""
        name = f"{self.url} answers {exchange.method} {exchange.path} with"
        if 300 <= exchange.status < 400:
            where = exchange.headers.get("location", "nowhere")
            raise Unusable(f"{name} a redirect to {where}: give the URL of the controller itself")
        if exchange.status == 401:
            said = f" ({exchange.message})" if exchange.message else ""
            hint = "give --token, --cert and --key, or --header 'Authorization: ...'"
            raise Unusable(f"{name} HTTP 401{said}: it wants to know who asks; {hint}")
        if exchange.status == 403:
            said = f" ({exchange.message})" if exchange.message else ""
            raise Unusable(f"{name} HTTP 403{said}: whoever asks lacks the permission for it")
        if exchange.envelope is None or "status" not in exchange.envelope:
            what = exchange.kind or "something"
            hint = "the web server there is no controller; is the port right, and the path?"
            if b"HTTPS" in exchange.content and self.url.scheme == "http":
                hint = "it speaks https, so write https:// in the URL"
            raise Unusable(f"{name} HTTP {exchange.status} and {what} without an envelope: {hint}")
        return exchange

    def status(self) -> dict[str, Any]:
        """What the controller says of itself; Unusable if it is none, or is not well."""
        body = self.read(STATUS)
        if not isinstance(body, dict):
            raise Unusable(f"{self.url} answers GET {STATUS} without a body: it is no controller")
        return body

    def release(self, status: dict[str, Any] | None = None) -> Release:
        """The release that the controller says it is; it is asked unless its status is given."""
        version = (self.status() if status is None else status).get("version")
        try:
            if not isinstance(version, str):
                raise ValueError("it tells none")
            return Release.parse(version.strip().removeprefix("v").partition("-")[0])
        except ValueError as wrong:
            raise Unusable(f"cannot tell the release of {self.url}: {wrong}; give --release") from None

    def _within(self, now: float) -> float:
        if self.deadline is None:
            return self.timeout
        if now >= self.deadline:
            raise OutOfTime(f"the limit of {self.limit:g} s on the whole is reached; --limit raises it")
        return min(self.timeout, self.deadline - now)

    def _read(self, answer: httpx.Response, until: float, name: str) -> Iterator[bytes]:
        size = 0
        for piece in answer.iter_bytes():
            size += len(piece)
            if self.clock() > until:
                raise self._late(name, until)
            if size > LARGEST:
                raise Unanswered(f"{name}: the answer has more than {LARGEST // 1024**2} MB and no end")
            yield piece

    def _late(self, name: str, until: float) -> Unanswered:
        if self.deadline is not None and until >= self.deadline:
            return OutOfTime(f"{name}: the limit of {self.limit:g} s on the whole is reached; --limit raises it")
        return Unanswered(f"{name}: no whole answer within {self.timeout:g} s; --timeout gives it longer")

    def _why(self, wrong: Exception, name: str) -> str:
        where = f"{self.url.host} port {self.url.port or (443 if self.url.scheme == 'https' else 80)}"
        for cause in _causes(wrong):
            if isinstance(cause, ssl.SSLCertVerificationError):
                return (
                    f"the certificate of {where} is not trusted ({cause.verify_message}): "
                    "give --ca FILE with the one that signed it, or --insecure to look at none"
                )
            if isinstance(cause, ssl.SSLError):
                return f"no TLS with {where} ({cause.reason or cause}): does it speak plain http, or want --cert?"
            if isinstance(cause, socket.gaierror):
                return f"the host {self.url.host} does not resolve: is its name right?"
            if isinstance(cause, ConnectionRefusedError) or _number(cause) == errno.ECONNREFUSED:
                return f"nothing listens at {where}: is the controller up, and the port right?"
            if _number(cause) in (errno.EHOSTUNREACH, errno.ENETUNREACH):
                return f"there is no way to {where}: is there a network, a VPN?"
        return f"{name}: the connection to {where} broke ({str(wrong) or type(wrong).__name__})"


def _number(cause: BaseException) -> int | None:
    return cause.errno if isinstance(cause, OSError) else None


def _causes(wrong: BaseException | None) -> Iterator[BaseException]:
    """An exception and all it comes from, also those that several attempts were gathered to."""
    while wrong is not None:
        yield wrong
        if isinstance(wrong, BaseExceptionGroup):
            for each in wrong.exceptions:
                yield from _causes(each)
        wrong = wrong.__cause__ or wrong.__context__


def trust(access: Access, scheme: str) -> ssl.SSLContext:
    """Whom to trust, and who we are; Unusable with the name of the option that is wrong."""
    if access.cert is not None and scheme != "https":
        raise Unusable("--cert: certificates need a URL with https")
    for option, file in (("--ca", access.ca), ("--cert", access.cert), ("--key", access.key)):
        if file is not None and not file.is_file():
            raise Unusable(f"{option}: there is no file {file}")
    try:
        context = ssl.create_default_context(cafile=access.ca)
    except (ssl.SSLError, OSError) as wrong:
        raise Unusable(f"--ca: {access.ca} holds no certificate in PEM ({wrong})") from None
    if access.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if access.key is not None and access.cert is None:
        raise Unusable("--key needs --cert")
    if access.cert is not None:
        try:
            # Without a password an encrypted key would ask for one at the terminal.
            context.load_cert_chain(access.cert, access.key, password="")
        except (ssl.SSLError, OSError, ValueError) as wrong:
            raise Unusable(f"--cert: {access.cert} and its key cannot be used ({wrong})") from None
    return context


def connect(url: str, access: Access | None = None, **options: Any) -> Remote:
    """A controller to ask; nothing is sent yet. Unusable if the URL or the access is none."""
    return Remote(url, access, **options)
