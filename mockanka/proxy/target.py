"""The controller that a proxy forwards to."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from mockanka.core.release import DEFAULT_RELEASE, Release
from mockanka.remote.client import (
    ClientOptions,
    ControllerClient,
    ControllerError,
    NoResponse,
    create_ssl_context,
    parse_controller_url,
)


@dataclass(frozen=True)
class TargetAddress:
    """Where all traffic goes; ``ssl_context`` is None for plain HTTP."""

    base_url: str
    host: str
    port: int
    ssl_context: ssl.SSLContext | None = None


def parse_target(url: str, options: ClientOptions) -> TargetAddress:
    """Return the address that a URL names. ControllerError if it is malformed, or if the host does not resolve."""
    parsed = parse_controller_url(url, instead="configure it in the client, because requests are forwarded unchanged")
    if parsed.raw_path not in (b"", b"/"):
        raise ControllerError(
            f"{url!r} has a path, but requests are forwarded unchanged: leave it out, and configure it in the client"
        )
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    try:
        socket.getaddrinfo(parsed.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ControllerError(f"the host {parsed.host} does not resolve: is its name right?") from None
    base_url = f"{parsed.scheme}://{parsed.netloc.decode()}"
    ssl_context = create_ssl_context(options, parsed.scheme)
    return TargetAddress(base_url, parsed.host, port, ssl_context if parsed.scheme == "https" else None)


class ReleaseLookup:
    """Requests the release of a target. Only checks need it, so the target may be down when the proxy starts."""

    def __init__(self, target: TargetAddress, options: ClientOptions, log: Callable[[str], None]) -> None:
        self._target, self._options, self._log = target, options, log

    def get_if_reachable(self) -> Release | None:
        """Return the release, or None if the target is down. ControllerError if its response has no release."""
        try:
            return self._request()
        except NoResponse as error:
            self._log(f"{error}; its release is requested later")
            return None

    def get_or_default(self) -> Release:
        """Return the release, or the default release if the target does not return it."""
        try:
            return self._request()
        except ControllerError as error:
            self._log(f"exchanges are checked against release {DEFAULT_RELEASE}: {error}")
            return DEFAULT_RELEASE

    def _request(self) -> Release:
        with ControllerClient(self._target.base_url, self._options) as client:
            return client.release()
