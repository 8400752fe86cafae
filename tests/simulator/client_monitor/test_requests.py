"""Findings about requests: unknown ids and fields, and requests that break the contract."""

from __future__ import annotations

import pytest
import requests

from mockanka.api.instance_requests import START_BODY
from mockanka.core.release import Release
from tests.simulator.client_monitor.client import NOBODY, VM, Client, client_of


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", f"{VM}?id={NOBODY}", None),
        ("PUT", f"{VM}?id={NOBODY}", {"name": "x"}),
        ("DELETE", VM, {"id": NOBODY}),
        ("POST", VM, {"vmid": NOBODY}),
        ("GET", f"/api/v1/node?id={NOBODY}", None),
        ("POST", "/api/v1/node/config", {"node_id": NOBODY}),
        ("GET", f"/api/v1/registry/vm?id={NOBODY}", None),
        ("POST", "/api/v1/registry/vm/distribute", {"template_id": NOBODY}),
        ("POST", "/api/v1/image", {"id": NOBODY, "new_template_name": "x"}),
        ("GET", f"/api/v1/image?id={NOBODY}", None),
        ("DELETE", f"/api/v1/group?id={NOBODY}", None),
    ],
)
@pytest.mark.parametrize("release", ["1.8.0", "1.50.1"])
def test_a_request_for_an_id_that_never_existed_is_found(method: str, target: str, body: object, release: str) -> None:
    """The id is found in the query and in the body; the same request again is counted."""
    with client_of(release=release) as client:
        for _ in range(2):
            client.ask(method, target, **({} if body is None else {"json": body}))

        assert [("unknown-ids", [1, 2])] == client.findings("unknown-ids")
        path = target.partition("?")[0]
        assert [f"{method} {path}: there never was a '{NOBODY}'"] == client.messages("unknown-ids")


def test_an_id_that_existed_is_known(client: Client) -> None:
    """An id of the scenario, or of a response, may be asked for also when the entity is gone."""
    before, template = next(iter(client.anka.instances)), client.template
    node = next(iter(client.anka.nodes))
    (started,) = client.start()
    group = client.ask("POST", "/api/v1/group", json={"name": "new"}).json()["body"]["id"]
    client.anka.vanish(before)
    client.anka.vanish(started)
    client.ask("DELETE", f"/api/v1/group?id={group}")
    client.ask("DELETE", "/api/v1/node", json={"node_id": node})
    client.ask("DELETE", f"/api/v1/registry/vm?id={template}")
    for target in (f"{VM}?id={before}", f"{VM}?id={started}", f"/api/v1/node?id={node}"):
        client.ask("GET", target)
    client.ask("DELETE", f"/api/v1/group?id={group}")
    client.ask("GET", f"/api/v1/registry/vm?id={template}")

    assert [] == client.findings()


def test_an_id_of_a_lost_response_is_known(client: Client) -> None:
    """A client may know an id from elsewhere, such as the list."""
    client.anka.faults.add(match={"method": "POST"}, do={"connection": "close"})
    client.lose_start()
    id = next(id for id in client.anka.instances if client.anka.instances[id].started_by)
    client.anka.vanish(id)
    client.poll(id)

    assert [] == client.findings()


def test_unknown_fields_are_found() -> None:
    """A misspelt field, a field of a later release, and an unknown parameter are found."""
    with client_of(release="1.8.0") as client:
        client.start(strat_up="x")
        client.start(strat_up="x")
        client.start(startup_script="YQ==", script_monitoring=True)
        client.ask("GET", f"{VM}?uuid=x")

        assert [("unknown-fields", [1, 2]), ("unknown-fields", [3]), ("unknown-fields", [4])] == client.findings()
        assert [
            f"POST {VM}: strat_up: no such field",
            f"POST {VM}: script_monitoring: release 1.8.0 does not know it, it came with 1.24.0",
            f"GET {VM}: uuid: no such query parameter",
        ] == client.messages("unknown-fields")


def test_fields_of_the_release_are_not_found() -> None:
    """Their names may be written in any case, as Go reads them."""
    with client_of(release="1.50.1") as client:
        client.start(startup_script="YQ==", script_monitoring=True, External_ID="x")

        assert [] == client.findings()


def test_removed_fields_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field of an earlier release is a finding of a kind of its own."""
    with client_of(release="1.19.0") as client, client_of(release="1.20.0") as later:
        monkeypatch.setitem(START_BODY.fields["priority"].metadata, "until", Release(1, 20, 0))
        client.start(priority=3)
        later.start(priority=3)

        assert [] == client.findings()
        assert [("deprecated-fields", [1])] == later.findings()
        assert [
            f"POST {VM}: priority: release 1.20.0 does not know it any more, it went with 1.20.0"
        ] == later.messages("deprecated-fields")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"vmid": 7}', b'{"vmid": "x", "count": 0}'])
@pytest.mark.parametrize("release", ["1.8.0", "1.50.1"])
def test_a_request_that_breaks_the_contract_is_found(body: bytes, release: str) -> None:
    """The finding of a body that the controller cannot read has the reason."""
    with client_of(release=release) as client:
        answer = client.ask("POST", VM, data=body).json()

        assert [("contract", [1])] == client.findings("contract")
        assert [f"POST {VM}: {answer['message'].removeprefix('invalid request: ')}"] == client.messages("contract")


def test_a_refused_request_does_not_break_the_contract(client: Client) -> None:
    """An unknown tag and an instance that does not run are no findings: the client could not know."""
    client.start(tag="nothing")
    client.ask("POST", "/api/v1/image", json={"id": client.start()[0], "new_template_name": "x"})

    assert [] == client.findings()


def test_a_request_that_is_not_carried_out_has_no_findings(client: Client) -> None:
    """A request that only a fault answers is not looked at."""
    client.anka.faults.add(do={"status": 503})
    client.ask("POST", VM, data=b"{")
    client.ask("GET", f"{VM}?id={NOBODY}")

    assert [] == client.findings()


def test_an_unknown_id_that_a_request_has_twice_is_one_finding(client: Client) -> None:
    """The id is that of the node and of the group."""
    client.start(node_id=NOBODY, group_id=NOBODY)

    assert [("unknown-ids", [1])] == client.findings("unknown-ids")


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        ("GET", "/api/v1/vms", "GET /api/v1/vms: no operation has that path: did you mean '/api/v1/vm'?"),
        ("PATCH", "/api/v1/vm", "PATCH /api/v1/vm: it takes GET, POST, PUT, DELETE"),
    ],
)
def test_an_unknown_operation_breaks_the_contract(client: Client, method: str, path: str, message: str) -> None:
    """The finding of an unknown path has the nearest, that of a wrong method the right ones; ids are not looked at."""
    requests.request(method, f"{client.anka.url}{path}?id=x", timeout=5)

    assert [message] == [finding.message for finding in client.anka.report().findings]
    assert [("contract", [1])] == client.findings()


def test_a_finding_has_the_field_that_may_be_allowed() -> None:
    """It is a field or parameter, an id, or the path of a request that breaks the contract."""
    with client_of(release="1.8.0") as client:
        client.start(script_monitoring=True)
        client.ask("GET", f"{VM}?uuid=x")
        client.ask("GET", f"/api/v1/node?id={NOBODY}")
        client.ask("POST", VM, data="{")
        client.ask("GET", "/api/v1/vms")
        fields = [(finding.kind, finding.field) for finding in client.anka.report().findings]

    assert [
        ("unknown-fields", "script_monitoring"),
        ("unknown-fields", "uuid"),
        ("unknown-ids", NOBODY),
        ("contract", VM),
        ("contract", "/api/v1/vms"),
    ] == [field for field in fields if field[0] != "leaks"]
    assert ("leaks", "") in fields
