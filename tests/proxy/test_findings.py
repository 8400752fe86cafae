"""Findings of the traffic that passes: violations by clients and by servers."""

from __future__ import annotations

import gzip

import pytest

from mockanka.testing.anka import Anka
from tests.proxy.harness import GET, RunningProxy, connect_through_proxy, receive_exactly, response_bytes
from tests.server.http_client import VM, receive_all, request_bytes, send_request, wait_until

pytestmark = pytest.mark.usefixtures("forwarding")


def test_correct_traffic_has_no_findings(anka: Anka, proxy: RunningProxy) -> None:
    """A client and a controller that keep to the contract have an empty report."""
    template = send_request(proxy.url, target="/api/v1/registry/vm").json["body"][0]["id"]
    (instance_id,) = send_request(proxy.url, "POST", VM, {"vmid": template}).json["body"]
    send_request(proxy.url, target=f"{VM}?id={instance_id}")
    send_request(proxy.url, "DELETE", VM, {"id": instance_id})
    report = proxy.report()

    assert (4, 0, 0, []) == (report["exchanges"], report["client"], report["server"], report["findings"])
    assert {"target": anka.url, "release": "1.50.1", "unjudged": 0, "unread": 0, "more": 0}.items() <= report.items()


CLIENT_VIOLATIONS: list[tuple[str, str, object, str]] = [
    ("POST", VM, {"count": 1}, "body"),
    ("POST", VM, {"vmid": "x", "colour": "red"}, "body-unknown"),
    ("GET", f"{VM}?colour=red", None, "query-unknown"),
    ("GET", "/nowhere", None, "operation"),
    ("PATCH", VM, None, "method"),
]


@pytest.mark.parametrize(("method", "target", "body", "check"), CLIENT_VIOLATIONS)
def test_violations_by_the_client_are_found(
    proxy: RunningProxy, method: str, target: str, body: object, check: str
) -> None:
    """The report counts them and names their exchanges; the log has each one once."""
    for _ in range(2):
        send_request(proxy.url, method, target, body)
    (finding,) = proxy.report()["findings"]

    assert ("client", check, 2, [0, 1]) == tuple(finding[key] for key in ("side", "check", "count", "entries"))
    assert f"{method} {target}" == finding["first"]
    (line,) = proxy.log
    assert line.startswith(f"client ({finding['level']}) in {method} {target}: {check}")


EMPTY_LIST = b'{"status":"OK","message":"","body":[]}\n'
SERVER_VIOLATIONS: list[tuple[bytes, str]] = [
    (response_bytes(b'{"status":"OK","message":"","body":{}}\n'), "shape"),
    (response_bytes(b'{"status":"OK"}\n'), "envelope"),
    (response_bytes(b"<html>"), "json"),
    (response_bytes(b'{"status":"FAIL","message":"x"}\n'), "status-code"),
    (response_bytes(EMPTY_LIST).replace(b"application/json", b"text/html"), "content-type"),
    (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{", "no-answer"),
    (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", "no-answer"),
    (b"", "no-answer"),
    (b"hello\r\n\r\n", "no-answer"),
    (response_bytes(b"\x1f\x8b", headers="content-encoding: br\r\n"), ""),
    (response_bytes(gzip.compress(EMPTY_LIST), headers="content-encoding: gzip\r\n"), ""),
    (response_bytes(gzip.compress(b"no"), headers="content-encoding: gzip\r\n"), "json"),
    (b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + EMPTY_LIST, ""),
    (b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\nno", "json"),
]


@pytest.mark.parametrize(("response", "check"), SERVER_VIOLATIONS)
def test_violations_by_the_server_are_found(response: bytes, check: str) -> None:
    """Incomplete and compressed responses are checked too, and those that end with the connection."""
    with connect_through_proxy(GET) as (client, target, proxy):
        receive_exactly(target, len(GET))
        target.sendall(response)
        target.close()
        received = receive_all(client)
        report = proxy.report()

    assert (response, False) == received
    found = {(finding["side"], finding["check"]) for finding in report["findings"]}
    assert ({("server", check)} if check else set()) == found
    assert 1 == report["exchanges"]


def test_a_client_that_disconnects_is_not_a_violation() -> None:
    """A client that does not wait for the response gets none, and neither side did anything wrong."""
    with connect_through_proxy(GET) as (client, target, proxy):
        receive_exactly(target, len(GET))
        client.close()
        receive_all(target)
        target.close()
        wait_until(lambda: proxy.proxy.relays == set() or proxy.report()["exchanges"] == 1)

        assert (1, []) == (proxy.report()["exchanges"], proxy.report()["findings"])


def test_an_incomplete_request_is_not_checked() -> None:
    """A body that is not complete shows nothing about its client."""
    with connect_through_proxy(request_bytes("POST", VM, b"{" * 10)[:-5]) as (client, target, proxy):
        target.sendall(response_bytes(status="400 Bad Request"))
        target.close()
        receive_all(client)
        client.close()
        wait_until(lambda: proxy.report()["exchanges"] == 1)

        assert [] == proxy.report()["findings"]
