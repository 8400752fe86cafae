"""The HTTP client of a controller: a request ends in an exchange, or in an error that says what to do."""

from __future__ import annotations

import errno
import ipaddress
import json
import socket
import ssl
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from mockanka import __version__
from mockanka.contract.exchange import JSON_TYPE, Exchange
from mockanka.contract.paths import STATUS_PATH
from mockanka.core.release import Release
from mockanka.remote.deadline import Deadline
from mockanka.remote.interrupts import Interrupts
from mockanka.shown_text import cut, escape

MAX_RESPONSE_SIZE = 64 * 1024 * 1024
"""The largest response in bytes, also when it is decompressed; a larger one is unlikely to end."""
MAX_CHUNK_SIZE = 1024 * 1024
"""Bytes that are decompressed at once."""
MAX_VALUES = 4_000_000
"""The most values in the JSON of a response: in memory, short ones take fifty times the bytes that they have here."""
MIN_KEPT = 1.0
"""Seconds for which a server keeps an idle connection, unless it said that it closes it."""


class ControllerError(Exception):
    """There is no usable controller at the URL; the text says why, and what to do.

    Each line may contain text of the controller: it is shown without control characters.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(cut(escape(cut(line))) for line in lines))


class NoResponse(ControllerError):
    """A request could not be sent, or has no complete response."""


class DeadlineExceeded(NoResponse):
    """The limit on all requests together is reached."""


@dataclass(frozen=True)
class ClientOptions:
    """Authentication by a root token, a client certificate or headers, and which certificates to trust."""

    token: str | None = None
    cert: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    insecure: bool = False
    headers: Sequence[tuple[str, str]] = ()


def parse_header(text: str) -> tuple[str, str]:
    """Parse ``Name: value``. ValueError if it is malformed."""
    name, colon, value = text.partition(":")
    if not (colon and name.strip()) or not text.isascii() or not text.isprintable():
        raise ValueError(f"{text!r} is not a header: write it like 'X-Team: builds'")
    return name.strip(), value.strip()


def parse_controller_url(url: str, instead: str = "give --token or --header instead") -> httpx.URL:
    """Parse the URL of a controller.

    ControllerError if it is malformed, or if it contains a user; ``instead`` then says how to authenticate.
    """
    hint = "write it like http://anka.example:8090"
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL as error:
        raise ControllerError(f"{url!r} is not a URL ({error}): {hint}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ControllerError(f"{url!r} is not the URL of a controller: {hint}")
    if parsed.userinfo:
        raise ControllerError(f"the URL of {parsed.host} has a user in it, which would be shown: {instead}")
    if parsed.query or parsed.fragment:
        raise ControllerError(f"{url!r} has more than host, port and path: {hint}")
    return parsed


def id_query(id: str) -> str:
    """Return the query that names an object. Half a surrogate pair is sent as a Go client reads it: as U+FFFD."""
    readable = "".join("\N{REPLACEMENT CHARACTER}" if "\ud800" <= char <= "\udfff" else char for char in id)
    return f"id={quote(readable, safe='')}"


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, by its name or an address."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def find_proxy(url: httpx.URL) -> str:
    """Return the proxy that the environment names for a URL, without a user or password, or an empty text."""
    if is_loopback(url.host) or urllib.request.proxy_bypass(url.host):
        return ""
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all", "")
    scheme, separator, rest = proxy.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


class ControllerClient:
    """Sends requests to a controller. Redirects are not followed.

    Each request has at most ``timeout`` seconds, and all requests together have ``limit`` seconds from the creation of
    the client on. ``clock`` measures both; ``transport`` replaces the network. ControllerError if the URL or the
    options are unusable; no request is sent yet.
    """

    def __init__(
        self,
        url: str,
        options: ClientOptions | None = None,
        timeout: float = 10.0,
        limit: float | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = parse_controller_url(url)
        self.options = options or ClientOptions()
        self.timeout = timeout
        self.clock = clock
        self.deadline = None if limit is None else clock() + limit
        self.limit = limit
        self.interrupts = Interrupts()
        self._proxy = "" if transport is not None else find_proxy(self.url)
        self._request_deadline = Deadline()
        self._kept_since: float | None = None
        """When the last response ended, by the monotonic clock; None if it closed its connection, or had an error."""
        headers = [("User-Agent", f"mockanka/{__version__}"), ("Accept-Encoding", "identity"), *self.options.headers]
        self._client = httpx.Client(
            auth=None if self.options.token is None else httpx.BasicAuth("root", self.options.token),
            headers=headers,
            verify=create_ssl_context(self.options, self.url.scheme),
            timeout=timeout,
            limits=httpx.Limits(keepalive_expiry=2.0),
            transport=transport,
            trust_env=not is_loopback(self.url.host),  # a proxy cannot reach what listens on this machine only
        )

    def __enter__(self) -> ControllerClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def restart_limit(self, seconds: float) -> None:
        """Replace the limit on all requests by a new one that begins now."""
        self.deadline, self.limit = self.clock() + seconds, seconds

    def check_limit(self) -> None:
        """Raise DeadlineExceeded if the limit on all requests is reached."""
        if self.deadline is not None and self.clock() >= self.deadline:
            raise DeadlineExceeded(self._limit_text())

    def request(
        self, method: str, path: str, query: str = "", body: Any = None, content_type: str | None = JSON_TYPE
    ) -> Exchange:
        """Send one request and return the exchange. NoResponse if there is no complete response.

        A body of bytes is sent as it is, any other as JSON.
        """
        self.interrupts.raise_pending()
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        started = self.clock()
        seconds = self._seconds_for_request(started)
        name = f"{method} {path}{'?' + query if query else ''}"
        base = self.url.raw_path.rstrip(b"/")
        target = self.url.copy_with(raw_path=base + path.encode() + (b"?" + query.encode() if query else b""))
        headers = {"Content-Type": content_type} if content and content_type else {}
        connections, kept_since = self._request_deadline.connections, self._kept_since
        was_kept = kept_since is not None and time.monotonic() - kept_since < MIN_KEPT
        self._kept_since = None
        try:
            request = self._client.build_request(
                method,
                target,
                content=content or None,
                headers=headers,
                timeout=seconds,
                extensions={"trace": self._request_deadline.trace},
            )
            with self._request_deadline.limit(seconds):
                response = self._client.send(request, stream=True)
                try:
                    received = b"".join(self._read(response, started + seconds, name))
                    if received.count(b",") > MAX_VALUES:
                        raise NoResponse(f"{name}: the response has more than {MAX_VALUES:,} values")
                finally:
                    response.close()
        except httpx.TimeoutException:
            raise self._timeout_error(name, started + seconds) from None
        except (httpx.HTTPError, OSError) as error:
            if self._request_deadline.expired:
                raise self._timeout_error(name, started + seconds) from None
            raise NoResponse(self._describe_failure(error, name)) from error
        response_headers = {key.lower(): value for key, value in response.headers.items()}
        took = self.clock() - started
        accepted = self._client.headers.get("accept-encoding")
        is_reconnected = was_kept and self._request_deadline.connections > connections
        is_kept = response.http_version == "HTTP/1.1" and "close" not in response_headers.get("connection", "").lower()
        self._kept_since = time.monotonic() if is_kept else None
        return Exchange(
            *(method, path, query, content, response.status_code, response_headers, received, took),
            accept_encoding=accepted,
            is_reconnected=is_reconnected,
        )

    def get_body(self, path: str, query: str = "") -> Any:
        """Return the body of a GET. ControllerError if it fails.

        An envelope with another status than OK and FAIL is taken for a success: it is for the checks to find.
        """
        exchange = self.require_usable(self.request("GET", path, query))
        envelope = exchange.envelope or {}
        if envelope.get("status") == "FAIL" or exchange.status >= 400:
            raise ControllerError(f"GET {path} fails at {self.url}: {exchange.message or exchange.status}")
        return envelope.get("body")

    def require_usable(self, exchange: Exchange) -> Exchange:
        """Return the exchange. ControllerError if its response is not one of a controller that admits us."""
        name = f"{self.url} responds to {exchange.method} {exchange.path} with"
        message = f" ({exchange.message})" if exchange.message else ""
        if 300 <= exchange.status < 400:
            location = exchange.headers.get("location", "nowhere")
            raise ControllerError(f"{name} a redirect to {location}: give the URL of the controller itself")
        if exchange.status == 401:
            hint = "give --token, --cert and --key, or --header 'Authorization: ...'"
            raise ControllerError(f"{name} HTTP 401{message}: authentication is required; {hint}")
        if exchange.status == 403:
            raise ControllerError(f"{name} HTTP 403{message}: the permission for it is missing")
        if exchange.envelope is None or "status" not in exchange.envelope:
            content_type = exchange.content_type or "something"
            hint = "the web server there is not a controller; are the port and the path right?"
            if self._proxy:
                hint = f"the proxy {self._proxy} may have answered; {self._without_proxy()}"
            if b"HTTPS" in exchange.response_content and self.url.scheme == "http":
                hint = "it expects HTTPS, so write https:// in the URL"
            raise ControllerError(f"{name} HTTP {exchange.status} and {content_type} without an envelope: {hint}")
        return exchange

    def status(self) -> dict[str, Any]:
        """Return the controller's status. ControllerError if it is not a controller, or does not work."""
        body = self.get_body(STATUS_PATH)
        if not isinstance(body, dict):
            raise ControllerError(f"{self.url} responds to GET {STATUS_PATH} without a body: it is not a controller")
        return body

    def release(self, status: dict[str, Any] | None = None) -> Release:
        """Return the controller's release, from its status, which is requested unless it is given."""
        version = (self.status() if status is None else status).get("version")
        try:
            if not isinstance(version, str):
                raise ValueError("its status has no version")
            return Release.from_version(version)
        except ValueError as error:
            raise ControllerError(f"cannot determine the release of {self.url}: {error}; give --release") from None

    def _seconds_for_request(self, now: float) -> float:
        if self.deadline is None:
            return self.timeout
        if now >= self.deadline:
            raise DeadlineExceeded(self._limit_text())
        return min(self.timeout, self.deadline - now)

    def _limit_text(self) -> str:
        return f"the total limit of {self.limit:g} s is reached; --limit raises it"

    def _read(self, response: httpx.Response, until: float, name: str) -> Iterator[bytes]:
        size = 0
        for chunk in self._decoded_chunks(response):
            size += len(chunk)
            if self.clock() > until:
                raise self._timeout_error(name, until)
            if size > MAX_RESPONSE_SIZE:
                raise NoResponse(f"{name}: the response is larger than {MAX_RESPONSE_SIZE // 1024**2} MB")
            yield chunk

    def _decoded_chunks(self, response: httpx.Response) -> Iterator[bytes]:
        """Yield the body in small parts. A part of httpx may have any size: a byte stands for a thousand, or more.

        Another encoding than gzip and deflate, which were not asked for, is left as it is.
        """
        if response.is_stream_consumed:  # by a transport without a network
            yield from response.iter_bytes()
        elif response.headers.get("content-encoding", "").strip().lower() in ("gzip", "x-gzip", "deflate"):
            yield from decompress(response.iter_raw())
        else:
            yield from response.iter_raw()

    def _timeout_error(self, name: str, until: float) -> NoResponse:
        if self.deadline is not None and until >= self.deadline:
            return DeadlineExceeded(f"{name}: {self._limit_text()}")
        proxy = f"; the proxy {self._proxy} was asked, {self._without_proxy()}" if self._proxy else ""
        return NoResponse(f"{name}: no complete response within {self.timeout:g} s; --timeout allows more{proxy}")

    def _without_proxy(self) -> str:
        return f"NO_PROXY={self.url.host} in the environment reaches {self.url.host} without it"

    def _describe_failure(self, error: Exception, name: str) -> str:
        where = f"{self.url.host} port {self.url.port or (443 if self.url.scheme == 'https' else 80)}"
        causes = list(_causes(error))
        breaks_at_proxy = isinstance(error, httpx.ProxyError | httpx.ConnectError)
        if self._proxy and breaks_at_proxy and not any(isinstance(cause, ssl.SSLError) for cause in causes):
            problem = str(error) or type(error).__name__
            return f"the proxy {self._proxy} does not connect to {where} ({problem}): {self._without_proxy()}"
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                return (
                    f"the certificate of {where} is not trusted ({cause.verify_message}): "
                    "give --ca FILE with the one that signed it, or --insecure to trust any"
                )
            if isinstance(cause, ssl.SSLError):
                reason = cause.reason or cause
                return f"TLS with {where} failed ({reason}): does it expect plain HTTP, or a client certificate?"
            if isinstance(cause, socket.gaierror):
                return f"the host {self.url.host} does not resolve: is its name right?"
            if isinstance(cause, ConnectionRefusedError) or _errno(cause) == errno.ECONNREFUSED:
                return f"nothing listens at {where}: is the controller up, and the port right?"
            if _errno(cause) in (errno.EHOSTUNREACH, errno.ENETUNREACH):
                return f"{where} cannot be reached: is there a network, a VPN?"
        return f"{name}: the connection to {where} broke ({str(error) or type(error).__name__})"


def decompress(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress gzip or zlib in parts of bounded size. NoResponse if it is malformed."""
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 32)
    is_begun = False
    try:
        for chunk in chunks:
            is_begun = is_begun or bool(chunk)
            while chunk and not decompressor.eof:
                yield decompressor.decompress(chunk, MAX_CHUNK_SIZE)
                chunk = decompressor.unconsumed_tail
        yield decompressor.flush()
    except zlib.error as error:
        raise NoResponse(f"the response cannot be decompressed: {error}") from None
    if is_begun and not decompressor.eof:
        raise NoResponse("the response cannot be decompressed: its end is missing")


def _errno(cause: BaseException) -> int | None:
    return cause.errno if isinstance(cause, OSError) else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and its causes, including those in exception groups."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for member in error.exceptions:
                yield from _causes(member)
        error = error.__cause__ or error.__context__


def create_ssl_context(options: ClientOptions, scheme: str) -> ssl.SSLContext:
    """Return the TLS context for the options. ControllerError, which names the option, if one is unusable."""
    if options.cert is not None and scheme != "https":
        raise ControllerError("--cert: certificates need a URL with https")
    for option, file in (("--ca", options.ca), ("--cert", options.cert), ("--key", options.key)):
        if file is not None and not file.is_file():
            raise ControllerError(f"{option}: there is no file {file}")
    try:
        context = ssl.create_default_context(cafile=options.ca)
    except (ssl.SSLError, OSError) as error:
        raise ControllerError(f"--ca: {options.ca} holds no certificate in PEM ({error})") from None
    if options.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.key is not None and options.cert is None:
        raise ControllerError("--key needs --cert")
    if options.cert is not None:
        try:
            # Without a password OpenSSL would ask for that of an encrypted key at the terminal.
            context.load_cert_chain(options.cert, options.key, password="")
        except (ssl.SSLError, OSError, ValueError) as error:
            raise ControllerError(f"--cert: {options.cert} and its key cannot be used ({error})") from None
    return context
