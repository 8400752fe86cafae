"""The base of the doubles of public clients: requests as data, raw HTTP, the controller's clock, kinds of endings."""

from __future__ import annotations

import http.client
import json
import re
import select
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlsplit

from mockanka import Anka

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HOUR = 3600.0
ABSENT = object()
KEPT_CONNECTIONS: list[http.client.HTTPConnection] = []
"""The connections that clients have kept; each test closes them at its end."""
_PLACE = re.compile(r"<(\w+)(\?)?>")


@dataclass(frozen=True)
class Call:
    """A request of a client, as data: ``<name>`` is replaced by a value, ``<name?>`` may be left out."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    data: bytes | None = None
    """Bytes of a body that is no JSON."""
    timeout: float | None = None
    """Seconds that the client waits for this response, if not as long as for others."""


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """Return a path, a header or a body with the values in place of their names."""
    if isinstance(template, Mapping):
        parts = {key: fill(part, values) for key, part in template.items()}
        return {key: part for key, part in parts.items() if part is not ABSENT}
    if isinstance(template, list):
        return [fill(part, values) for part in template]
    if not isinstance(template, str):
        return template
    whole = _PLACE.fullmatch(template)
    if whole is None:
        return _PLACE.sub(lambda place: str(values[place[1]]), template)
    if whole[2] and values.get(whole[1]) is None:
        return ABSENT
    return values[whole[1]]


@dataclass(frozen=True)
class Reply:
    """A response."""

    status: int
    data: bytes

    def json(self) -> Any:
        """Return the JSON of the body, or raise Undecodable."""
        try:
            return json.loads(self.data)
        except ValueError:
            raise Undecodable(f"not JSON: {self.data[:40]!r}") from None

    @property
    def text(self) -> str:
        """The body as text."""
        return self.data.decode("utf-8", "replace").rstrip("\n")


class Undecodable(Exception):
    """The client cannot decode a response."""


class Fails(Exception):
    """The client gives up in an orderly way; the text is its message."""


class Crashes(Exception):
    """The client's code fails in a way that its authors did not expect: a null pointer, a panic."""


class StillWaiting(Exception):
    """The client would never end by itself, and the limit for its job is reached."""


class Lost(Exception):
    """The transport failed: there was no response, or only a part of one."""


class Refused(Lost):
    """The connection was refused."""


class NoResponse(Lost):
    """The connection was closed before the response began."""


class CutShort(Lost):
    """The response ended too early."""


class TimedOut(Lost):
    """The response came later than the client waits."""


@dataclass
class Machine:
    """The result of a start that succeeded."""

    id: str
    address: str = ""
    text: str = ""


class Client:
    """A client, its requests and its clock. It sleeps by moving the controller's clock, so that no test waits."""

    CALLS: ClassVar[dict[str, Call]]
    DEFAULTS: ClassVar[dict[str, Any]] = {}
    CHARSET: ClassVar[str] = "utf-8"
    TIMEOUT: ClassVar[float | None] = None
    """Seconds that it waits for a response; None means without limit."""
    KEEPS_CONNECTIONS: ClassVar[bool] = False
    """True if requests follow each other on one connection; then only a GET on a kept one is repeated."""
    GET_REPEATS: ClassVar[int] = 0
    """How often its library sends a GET again whose connection was closed before the response (tests/clients/http)."""

    def __init__(self, anka: Anka, **settings: Any) -> None:
        self.anka = anka
        self.settings: dict[str, Any] = {**Client.DEFAULTS, **self.DEFAULTS, **settings}
        self.began = self.now
        self.job_limit = float(self.settings.get("job_limit", 3 * HOUR))
        self.log: list[str] = []
        self._kept: http.client.HTTPConnection | None = None

    @property
    def now(self) -> datetime:
        """The time of the controller's clock."""
        return self.anka.clock.now

    def since(self, moment: datetime) -> float:
        """Return the seconds since a moment."""
        return (self.now - moment).total_seconds()

    def sleep(self, seconds: float) -> None:
        """Advance the controller's clock; StillWaiting is raised at the limit of the job."""
        if self.since(self.began) + seconds > self.job_limit:
            raise StillWaiting(f"no end after {self.job_limit:.0f} s")
        self.pass_time(timedelta(seconds=seconds))

    def pass_time(self, time: timedelta) -> None:
        """Advance the controller's clock, and do what the client does meanwhile."""
        self.anka.clock.advance(time)

    def every(self, seconds: float) -> Iterator[None]:
        """Yield now, and again after each sleep of so many seconds."""
        while True:
            yield
            self.sleep(seconds)

    def send(self, name: str, **values: Any) -> Reply:
        """Send a request, with the headers of its call and no others than HTTP itself needs."""
        call = self.CALLS[name]
        sent_at = self.now
        reply = self._exchange(
            call.method, self.filled(call.path, values), self.filled(call.headers, values), self.data_of(name, **values)
        )
        limit = call.timeout if call.timeout is not None else self.TIMEOUT
        if limit is not None and self.since(sent_at) > limit:
            raise TimedOut(f"no answer within {limit:.0f} s")
        return reply

    def data_of(self, name: str, **values: Any) -> bytes | None:
        """Return the bytes of the body of a request, or None if it has no body."""
        call = self.CALLS[name]
        if call.body is None:
            return call.data
        text = json.dumps(self.filled(call.body, values), ensure_ascii=False, separators=(",", ":"))
        return text.encode(self.CHARSET, "replace")

    def filled(self, template: Any, values: Mapping[str, Any]) -> Any:
        """Return a part of a call with these values and the client's settings."""
        return fill(template, {**self.settings, **values})

    def _exchange(self, method: str, path: str, headers: Mapping[str, str], data: bytes | None) -> Reply:
        repeats = self.GET_REPEATS if method == "GET" else 0
        while True:
            connection = self._take_connection()
            is_kept = connection.sock is not None
            try:
                return self._exchange_on(connection, method, path, headers, data)
            except NoResponse:
                if not repeats or (self.KEEPS_CONNECTIONS and not is_kept):
                    raise
                repeats -= 1

    def _take_connection(self) -> http.client.HTTPConnection:
        """Return the kept connection, if the server has not closed it meanwhile, else a new one."""
        connection, self._kept = self._kept, None
        if connection is not None and connection.sock is not None:
            if not select.select([connection.sock], [], [], 0)[0]:
                return connection
            connection.close()
        address = urlsplit(self.anka.url)
        return http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)

    def _exchange_on(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        data: bytes | None,
    ) -> Reply:
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for header, value in headers.items():
                connection.putheader(header, value)
            if data is not None:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            response = connection.getresponse()
        except ConnectionRefusedError as error:
            raise Refused(str(error)) from error
        except ConnectionError as error:
            connection.close()
            raise NoResponse(f"{type(error).__name__}") from error
        try:
            reply = Reply(response.status, response.read())
            if self.KEEPS_CONNECTIONS and connection.sock is not None:
                self._kept = connection
                KEPT_CONNECTIONS.append(connection)
            return reply
        except http.client.IncompleteRead as error:
            raise CutShort("unexpected EOF") from error
        except (http.client.HTTPException, OSError) as error:
            raise Lost(f"{type(error).__name__}") from error
        finally:
            if self._kept is not connection:
                connection.close()

    # The steps of every client.

    def start(self) -> Machine:
        """Start an instance, and return it when the client can use it."""
        raise NotImplementedError

    def look(self, machine: Machine) -> str:
        """Return the observation of a client that monitors its VM; most clients do not."""
        return ""

    def end(self, machine: Machine) -> None:
        """Terminate the instance."""
        raise NotImplementedError
