"""What the doubles of public clients share: requests as data, raw HTTP, the mock's clock as theirs, how they end."""

from __future__ import annotations

import http.client
import json
import re
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
_PLACE = re.compile(r"<(\w+)(\?)?>")


@dataclass(frozen=True)
class Call:
    """One request of a client, as data: ``<name>`` stands for a value, ``<name?>`` for one that may be left out."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    timeout: float | None = None
    """Seconds that the client waits for this answer, if not as long as for others."""


def filled(template: Any, values: Mapping[str, Any]) -> Any:
    """A path, header or body with its values in place."""
    if isinstance(template, Mapping):
        made = {key: filled(each, values) for key, each in template.items()}
        return {key: each for key, each in made.items() if each is not ABSENT}
    if isinstance(template, list):
        return [filled(each, values) for each in template]
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
    """What came back."""

    status: int
    data: bytes

    def json(self) -> Any:
        """What the body says, or Undecodable."""
        try:
            return json.loads(self.data)
        except ValueError:
            raise Undecodable(f"not JSON: {self.data[:40]!r}") from None

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace").rstrip("\n")


class Undecodable(Exception):
    """The client cannot decode what came."""


class Fails(Exception):
    """The client gives up in good order; the text is what it has to tell."""


class Crashes(Exception):
    """The client's code runs into something that its authors did not expect: a null pointer, a panic."""


class StillWaiting(Exception):
    """The client would go on for ever, and whoever runs it has had enough."""


class Lost(Exception):
    """The transport failed: no answer came, or only a part of one."""


class Refused(Lost):
    """Nobody listens."""


class CutShort(Lost):
    """The answer breaks off."""


class TimedOut(Lost):
    """The answer came later than the client waits."""


@dataclass
class Machine:
    """What a client has when a start went well."""

    id: str
    address: str = ""
    text: str = ""


class Client:
    """A client at home: its requests, its clock. Time is the mock's, and sleeping moves it, so nobody sleeps."""

    CALLS: ClassVar[dict[str, Call]]
    DEFAULTS: ClassVar[dict[str, Any]] = {}
    CHARSET: ClassVar[str] = "utf-8"
    TIMEOUT: ClassVar[float | None] = None
    """Seconds that it waits for an answer; None is for ever."""

    def __init__(self, anka: Anka, **settings: Any) -> None:
        self.anka = anka
        self.settings: dict[str, Any] = {**Client.DEFAULTS, **self.DEFAULTS, **settings}
        self.began = self.now
        self.job_limit = float(self.settings.get("job_limit", 3 * HOUR))
        self.log: list[str] = []

    @property
    def now(self) -> datetime:
        return self.anka.clock.now

    def since(self, moment: datetime) -> float:
        return (self.now - moment).total_seconds()

    def sleep(self, seconds: float) -> None:
        """Let the mock's time pass instead of the wall's; whoever runs the client has a limit."""
        if self.since(self.began) + seconds > self.job_limit:
            raise StillWaiting(f"no end after {self.job_limit:.0f} s")
        self.pass_time(timedelta(seconds=seconds))

    def pass_time(self, time: timedelta) -> None:
        """What happens while it sleeps."""
        self.anka.clock.advance(time)

    def every(self, seconds: float) -> Iterator[None]:
        """Now, and again after so many seconds each time."""
        while True:
            yield
            self.sleep(seconds)

    def send(self, name: str, **values: Any) -> Reply:
        """One request on the wire, with the headers of its call and no others but what HTTP itself needs."""
        call = self.CALLS[name]
        known = {**self.settings, **values}
        data = None
        if call.body is not None:
            text = json.dumps(filled(call.body, known), ensure_ascii=False, separators=(",", ":"))
            data = text.encode(self.CHARSET, "replace")
        asked = self.now
        reply = self._exchange(call.method, filled(call.path, known), filled(call.headers, known), data)
        limit = call.timeout if call.timeout is not None else self.TIMEOUT
        if limit is not None and self.since(asked) > limit:
            raise TimedOut(f"no answer within {limit:.0f} s")
        return reply

    def _exchange(self, method: str, path: str, headers: Mapping[str, str], data: bytes | None) -> Reply:
        address = urlsplit(self.anka.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for header, value in headers.items():
                connection.putheader(header, value)
            if data is not None:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read())
        except ConnectionRefusedError as wrong:
            raise Refused(str(wrong)) from wrong
        except http.client.IncompleteRead as wrong:
            raise CutShort("unexpected EOF") from wrong
        except (http.client.HTTPException, OSError) as wrong:
            raise Lost(f"{type(wrong).__name__}") from wrong
        finally:
            connection.close()

    # What every client has, in its own way.

    def start(self) -> Machine:
        """From the wish for a VM to its address."""
        raise NotImplementedError

    def look(self, machine: Machine) -> str:
        """What it notices of a VM that it has; most do not look."""
        return ""

    def end(self, machine: Machine) -> None:
        """Be rid of the VM."""
        raise NotImplementedError
