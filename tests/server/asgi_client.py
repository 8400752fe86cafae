"""Requests to a gateway, called as ASGI in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from mockanka.scenario import Options, Scenario
from mockanka.server.asgi import Gateway
from mockanka.simulator.simulator import Simulator
from mockanka.units import format_moment

Headers = list[tuple[bytes, bytes]]


def scope_of(method: str, target: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> dict[str, Any]:
    """Return the ASGI scope of a request."""
    path, _, query = target.partition("?")
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"host", b"test"), *headers],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 8090),
    }


class Response:
    """A response as it was sent, and the messages that sent it."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.status: int = messages[0]["status"]
        self.headers: Headers = list(messages[0]["headers"])
        self.body = b"".join(message.get("body", b"") for message in messages[1:])
        self.messages = messages

    def header(self, name: str) -> str:
        """Return the value of a header that stands there once."""
        (value,) = [value for key, value in self.headers if key == name.encode()]
        return value.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def gateway_of(scenario: str | Scenario = "default", **options: Any) -> Gateway:
    """Return a gateway to a scenario, with a stepping clock unless the options say otherwise."""
    chosen = Scenario.named(scenario) if isinstance(scenario, str) else scenario
    return Gateway(Simulator(chosen, Options(**{"clock": "step", **options})))


async def send_messages(
    gateway: Gateway, scope: dict[str, Any], parts: Iterable[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return all messages that are sent for a request that comes in parts."""
    remaining = iter(parts)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(remaining)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await gateway(scope, receive, send)
    return sent


async def send_request(
    gateway: Gateway, method: str, target: str, body: object = None, headers: Headers | None = None
) -> Response:
    """Send a request, its body as JSON unless it is bytes, and return the response."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    message = {"type": "http.request", "body": raw, "more_body": False}
    return Response(await send_messages(gateway, scope_of(method, target, headers or []), [message]))


def run_coroutine(function: Callable[[], Awaitable[Any]]) -> Any:
    """Run a coroutine to its end, which must come within 10 seconds, and return its result."""

    async def limited() -> Any:
        async with asyncio.timeout(10):
            return await function()

    return asyncio.run(limited())


def request(
    gateway: Gateway, method: str, target: str, body: object = None, headers: Headers | None = None
) -> Response:
    """Send a request from outside of an event loop."""
    response = run_coroutine(lambda: send_request(gateway, method, target, body, headers))
    assert isinstance(response, Response)
    return response


def clock_of(gateway: Gateway) -> str:
    """Return what the clock says."""
    return format_moment(gateway.simulator.controller.clock.now())


async def start_instance(gateway: Gateway) -> str:
    """Start an instance of the first template, and return its id."""
    template = next(iter(gateway.simulator.controller.templates))
    (id,) = (await send_request(gateway, "POST", "/api/v1/vm", {"vmid": template})).json["body"]
    return str(id)
