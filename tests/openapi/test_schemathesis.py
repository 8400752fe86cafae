"""The wire held against its contract, release by release, with requests that schemathesis makes from the document.

Schemathesis tells accepted from rejected data by the HTTP status, which does not tell here: 1.8.0 says 200 with FAIL,
1.50.1 says 400 to an unknown id that is valid data. One check of our own reads the envelope instead. Another looks at
which of several shapes an answer has, which in the document depends on the query.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple
from unittest.mock import patch
from zlib import crc32

import hypothesis
import pytest
import schemathesis
from schemathesis.core.failures import FailureGroup
from schemathesis.engine import events, from_schema
from schemathesis.specs.openapi import stateful
from werkzeug.wrappers import Response

from mockanka.api.app import create_app
from mockanka.contract.conformance import Contract, contract_of
from mockanka.contract.exchange import Exchange
from mockanka.contract.schema_validation import is_go_integer
from mockanka.core import distributions, instances, save_images
from mockanka.core.controller import Controller
from mockanka.core.instance_record import StartRequest
from mockanka.core.release import Release
from mockanka.core.save_images import SaveRequest
from mockanka.core.time_control import settle
from mockanka.scenario import Options, Scenario
from mockanka.units import SECOND
from tests.conftest import FULL, examples
from tests.contracts import RELEASES, has

OLD, NEW = RELEASES[0], RELEASES[-1]
ENDS = (OLD, NEW)
ROUNDS = 8
"""How often chance may miss something: what it draws depends on hypothesis, and on what else is imported."""

# ---- the judge -----------------------------------------------------------------------------------------------------


def judge(release: str) -> Contract:
    """The contract of a release."""
    return contract_of(Release.parse(release))


@dataclass(frozen=True)
class Seen(Exchange):
    """One request as it reached the application of some release, and its answer."""

    release: str = OLD

    @property
    def operation(self) -> dict[str, Any] | None:
        return judge(self.release).operation(*self.operation_key)

    @property
    def asked(self) -> str:
        return judge(self.release).selected_query(self)

    @cached_property
    def said(self) -> dict[str, Any]:
        """The envelope; a probe has none, and its HTTP status says it all."""
        return self.envelope or {"status": "OK" if self.status == 200 else "FAIL", "message": ""}


# ---- the two checks ------------------------------------------------------------------------------------------------


def wrong(case: schemathesis.Case, *checks: str) -> str | None:
    """What the judge finds wrong with the last exchange. Checks are known to every test: other applications pass."""
    watched = case.operation.schema.app
    if not isinstance(watched, Watched):
        return None
    found = [each for each in judge(watched.release).check_response(watched.last) if each.check in checks]
    return str(found[0]) if found else None


@schemathesis.check
def envelope_goes_with_request(ctx: schemathesis.CheckContext, response: Any, case: schemathesis.Case) -> None:
    if text := wrong(case, "envelope", "json", "status-code", "forbidden-taken", "allowed-refused", "stray"):
        raise AssertionError(text)


@schemathesis.check
def shape_goes_with_query(ctx: schemathesis.CheckContext, response: Any, case: schemathesis.Case) -> None:
    if text := wrong(case, "shape", "schema", "undocumented"):
        raise AssertionError(text)


# ---- the application under test ------------------------------------------------------------------------------------

DEFAULT = Scenario.named("default")
Spoil = Callable[[Seen], Seen]


def plain(release: str) -> Controller:
    """The default scenario."""
    controller = DEFAULT.controller(Options(clock="manual", release=Release.parse(release)))
    controller.advance()
    return controller


def furnished(release: str) -> Controller:
    """The default scenario with one of everything: also a distribution, a save image request, and more instances."""
    controller = plain(release)
    template_id = next(iter(controller.templates))
    made = instances.start_instances(controller, StartRequest(template_id), 2)
    settle(controller)
    save_images.create_save_image(controller, SaveRequest(made[0], new_template_name="saved"))
    distributions.create_distribution(controller, template_id)
    return controller


@dataclass
class Watched:
    """An application whose last exchange can be looked at.

    Without a step each request finds the world furnished anew; with one time moves on by it before each request, and
    only ``begin`` brings the beginning back. ``spoil`` falsifies answers.
    """

    release: str
    step: int = 0
    spoil: Spoil | None = None
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    shapes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Successes of an operation by the key of x-when-query that applied."""
    strays: Counter[int] = field(default_factory=Counter)
    """HTTP statuses of requests to what is no operation."""

    def __post_init__(self) -> None:
        self.controller = furnished(self.release)
        self._app = create_app(self.controller)

    def begin(self) -> None:
        self.controller.replace_with(plain(self.release) if self.step else furnished(self.release))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self.step:
            self.controller.clock.advance(self.step)
        else:
            self.begin()
        sent = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(sent)
        answer = Response.from_app(self._app, environ, buffered=True)
        exchange = Seen(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            environ["QUERY_STRING"],
            sent,
            answer.status_code,
            {"content-type": answer.content_type or ""},
            answer.data,
            release=self.release,
        )
        if self.spoil and exchange.operation:
            exchange = self.spoil(exchange)
            answer.data, answer.status_code = exchange.response_content, exchange.status
        self.last = exchange
        self._count(exchange)
        return answer(environ, start_response)

    def _count(self, exchange: Seen) -> None:
        if exchange.operation is None:
            self.strays[exchange.status] += 1
        else:
            status = exchange.said["status"]
            self.seen[exchange.operation["operationId"], status] += 1
            if status == "OK":
                self.shapes[exchange.operation["operationId"], exchange.asked] += 1


class Known(NamedTuple):
    """What a request can name in the furnished world."""

    templates: list[str]
    nodes: list[str]
    groups: list[str]
    instances: list[str]
    distributions: list[str]
    save_images: list[str]
    tags: list[str]

    @classmethod
    def of(cls, controller: Controller) -> Known:
        kinds = ("templates", "nodes", "groups", "instances", "distributions", "save_images")
        return cls(*([*getattr(controller, kind)] for kind in kinds), ["vanilla", "xcode-15"])


IN_BODY = {
    "vmid": "templates",
    "template_id": "templates",
    "target_vm_id": "templates",
    "node_id": "nodes",
    "node_ids": "nodes",
    "group_id": "groups",
    "group_ids": "groups",
    "fallback_group_id": "groups",
    "id": "instances",
    "instance_id": "instances",
    "tag": "tags",
}
AT_ODDS = ("tag", "version", "node_id", "group_id")
"""What a start asks for that the template, or the node, may not have."""

IN_QUERY = {
    "/api/v1/vm": "instances",
    "/api/v1/node": "nodes",
    "/api/v1/registry/vm": "templates",
    "/api/v1/registry/vm/remove": "templates",
    "/api/v1/registry/revert": "templates",
    "/api/v1/registry/vm/distribute": "distributions",
    "/api/v1/image": "save_images",
    "/api/v1/group": "groups",
}


@schemathesis.hook
def before_call(context: Any, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Let most texts that stand where an id belongs name something: made up they never would, and nothing would be OK.

    What names something already, as an id that a link brought, stays. What is drawn depends on the text alone.
    """
    watched = case.operation.schema.app
    if not isinstance(watched, Watched):
        return
    known = Known.of(watched.controller)
    if isinstance(case.body, dict):
        case.body = {key: _made_known(value, IN_BODY.get(key), known) for key, value in case.body.items()}
        if isinstance(case.body.get("usb_device"), str):
            case.body["usb_device"] = "iphone"
        if is_go_integer(None, case.body.get("version")):
            case.body["version"] %= 3
        if is_go_integer(None, case.body.get("count")):
            case.body["count"] = min(case.body["count"], 10_001)
        for name, right in (("startup_script", "c3dfdmVycwo="), ("vlan_tag", "")):
            if isinstance(case.body.get(name), str) and _draw(case.body[name]) % 4:
                case.body[name] = right
        vmid = case.body.get("vmid")
        if vmid in known.templates and _draw("".join(case.body)) % 3:  # what goes together seldom goes by chance
            case.body = {key: value for key, value in case.body.items() if key not in AT_ODDS}
        if watched.step and "vmid" in case.body:  # links need starts that succeed, and instances that find a node
            case.body = {"vmid": known.templates[0], "name": case.body.get("name", "")}
        if watched.step and "template_id" in case.body:
            case.body = {"template_id": known.templates[0]}
    if case.query and case.query.get("id"):
        case.query = {**case.query, "id": _made_known(case.query["id"], IN_QUERY.get(case.path), known, odds=3)}
    if case.path == "/api/v1/registry/revert" and case.query and _draw("".join(case.query)) % 3:
        case.query = {
            key: value for key, value in case.query.items() if key == "id"
        }  # which version goes seldom with it
    if case.query and case.query.get("tag"):
        case.query = {**case.query, "tag": _made_known(case.query["tag"], "tags", known)}
    if case.query and isinstance(case.query.get("apiVer"), str) and _draw(case.query["apiVer"]) % 2:
        case.query = {**case.query, "apiVer": "v1"}


def _draw(text: str) -> int:
    return crc32(text.encode("utf-8", "replace"))


def _made_known(value: Any, kind: str | None, known: Known, odds: int = 4) -> Any:
    """The name of something, but for one text in so many."""
    if isinstance(value, list):
        return [_made_known(each, kind, known) for each in value]
    if kind is None or not isinstance(value, str) or not value:
        return value
    names: list[str] = getattr(known, kind)
    draw = _draw(value)
    return value if value in names or not names or draw % odds == 0 else names[draw // odds % len(names)]


# ---- running schemathesis ------------------------------------------------------------------------------------------

# The two checks that read HTTP statuses are replaced by those above.
CHECKS = {name: {"enabled": False} for name in ("positive_data_acceptance", "negative_data_rejection")}
UNIT_PHASES = ("examples", "coverage", "fuzzing")
SHORT_PHASES = ("examples", "fuzzing")


def schema_for(watched: Watched, phases: Iterable[str], examples: int, seed: int = 20) -> Any:
    """The contract of its release, bound to an application."""
    settings: dict[str, Any] = {
        name: {"enabled": name in phases, "extra-data-sources": {"responses": False}} for name in UNIT_PHASES
    }
    settings["coverage"]["generate-duplicate-query-parameters"] = True
    # What schemathesis takes for links by itself is partly wrong; those of the document are the ones that count.
    settings["stateful"] = {
        "enabled": "stateful" in phases,
        "generation": {"mode": "positive"},
        "inference": {"algorithms": []},
        "link-calibration": False,
    }
    config = schemathesis.Config.from_dict(
        {
            "seed": seed,
            "checks": CHECKS,
            "phases": settings,
            "continue-on-failure": True,
            "generation": {"max-examples": examples, "deterministic": seed == 20, "database": "none"},
        }
    )
    schema = schemathesis.openapi.from_dict(judge(watched.release).document, config=config)
    schema.app = watched
    return schema


def findings(schema: Any) -> Iterator[str]:
    """What schemathesis finds in the phases that send single requests."""
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            yield f"error: {event!r}"
        if isinstance(event, events.ScenarioFinished):
            for checks in event.recorder.checks.values():
                for each in checks:
                    if each.failure_info is not None:
                        failure = each.failure_info.failure
                        yield f"{event.recorder.label}: {each.name}: {failure.title}: {failure.message}"[:600]


def found_by_check(watched: Watched, operation_id: str) -> set[str]:
    """The names of the checks that complain about one operation."""
    found = findings(schema_for(watched, ["fuzzing"], 25).include(operation_id=operation_id))
    return {each.split(": ")[1] for each in found}


# ---- the tests -----------------------------------------------------------------------------------------------------


def unseen(watched: Watched) -> dict[str, list[str]]:
    """What has not been seen yet of each operation: success, each shape of an answer, and failure.

    What takes a body or needs a parameter can fail; what takes neither never does.
    """
    left = {}
    for (method, _), each in judge(watched.release).operations.items():
        name = each["operationId"]
        lacks = [f"shape {key}" for key in judge(watched.release).query_shapes(each) if not watched.shapes[name, key]]
        lacks += ["OK"] if not watched.seen[name, "OK"] else []
        lacks += ["FAIL"] if method != "GET" and name != "updateNodes" and not watched.seen[name, "FAIL"] else []
        if lacks:
            left[name] = lacks
    return left


@pytest.mark.parametrize("release", RELEASES)
def test_every_operation_keeps_to_the_document(release: str) -> None:
    """Examples, edge cases and random requests find nothing, and every operation succeeds for some of them."""
    watched = Watched(release)
    # All edge cases of all fields are those of the first release and of the last.
    edges = FULL or release in ENDS
    count = examples(25 if release in ENDS else 10, 50)
    found = set(findings(schema_for(watched, UNIT_PHASES if edges else SHORT_PHASES, count)))
    # Operations of which chance has missed something are asked again, with other seeds.
    for seed in range(21, 21 + ROUNDS):
        if left := list(unseen(watched)):
            found |= set(findings(schema_for(watched, ["fuzzing"], 25, seed).include(operation_id=left)))

    assert sorted(found) == []
    assert {} == unseen(watched)
    # With the edge cases come methods that a path does not know.
    assert ({405} if edges else set()) == set(watched.strays)
    failed = {name for name, status in watched.seen if status == "FAIL"}
    assert set() == {"getStatus", "listGroups", "listUsbDevices", "getRegistryDisk"} & failed
    assert sum(len(judge(release).query_shapes(each)) for each in judge(release).operations.values()) >= 10


# Proof that the checks bite.


def retold(exchange: Seen, **changed: Any) -> Seen:
    """The exchange with another envelope in its answer."""
    return replace(exchange, response_content=json.dumps({**exchange.said, **changed}).encode())


def always_ok(exchange: Seen) -> Seen:
    """FAIL turned into a bare OK."""
    if exchange.said["status"] == "OK":
        return exchange
    return replace(exchange, response_content=b'{"status":"OK","message":""}\n', status=200)


def always_refused(exchange: Seen) -> Seen:
    """Everything called invalid."""
    status = 400 if has(exchange.release, "1.20.0") else 200
    return replace(exchange, response_content=b'{"status":"FAIL","message":"invalid request: no"}', status=status)


def always_the_list(exchange: Seen) -> Seen:
    """The list in answer to an id."""
    body = exchange.said.get("body")
    return retold(exchange, body=[]) if isinstance(body, dict) and "id" in exchange.parameters else exchange


def always_one(exchange: Seen) -> Seen:
    """A single instance in place of the list."""
    body = exchange.said.get("body")
    return retold(exchange, body=body[0]["vm"]) if isinstance(body, list) else exchange


def with_a_null(exchange: Seen) -> Seen:
    """A key that is null where it should be left out."""
    body = exchange.said.get("body")
    return retold(exchange, body={**body, "message": None}) if isinstance(body, dict) else exchange


def with_a_body(exchange: Seen) -> Seen:
    """A body on an operation that has none."""
    return retold(exchange, body=None)


def of_the_other_release(exchange: Seen) -> Seen:
    """A failure with the HTTP status of the other release."""
    failed = exchange.said["status"] == "FAIL"
    return replace(exchange, status=600 - exchange.status if exchange.status == 200 else 200) if failed else exchange


def always_null(exchange: Seen) -> Seen:
    """A list that is null."""
    return retold(exchange, body=None) if isinstance(exchange.said.get("body"), list) else exchange


def always_whole(exchange: Seen) -> Seen:
    """The whole list whichever version is asked for."""
    body = exchange.said.get("body")
    if exchange.asked != "apiVer=v1" or not isinstance(body, list):
        return exchange
    return retold(exchange, body=[{**each, "size": 1, "arch": "arm64"} for each in body])


def with_status_503(exchange: Seen) -> Seen:
    """A probe that says no."""
    return replace(exchange, status=503)


PLANTS: list[tuple[str, Spoil, str]] = [
    ("startVms", always_ok, "envelope_goes_with_request"),
    ("updateVm", always_ok, "envelope_goes_with_request"),
    ("terminateVm", always_ok, "envelope_goes_with_request"),
    ("configureNode", always_ok, "envelope_goes_with_request"),
    ("addNodesToGroups", always_ok, "envelope_goes_with_request"),
    ("revertTemplate", always_ok, "envelope_goes_with_request"),
    ("deleteGroup", always_ok, "envelope_goes_with_request"),
    ("saveImage", always_refused, "envelope_goes_with_request"),
    ("createGroup", always_refused, "envelope_goes_with_request"),
    ("listUsbDevices", always_refused, "envelope_goes_with_request"),
    ("startVms", of_the_other_release, "envelope_goes_with_request"),
    ("listVms", always_the_list, "shape_goes_with_query"),
    ("listTemplates", always_the_list, "shape_goes_with_query"),
    ("listDistributions", always_the_list, "shape_goes_with_query"),
    ("listSaveImages", always_the_list, "shape_goes_with_query"),
    ("listVms", always_one, "shape_goes_with_query"),
    ("listVms", with_a_null, "response_schema_conformance"),
    ("createGroup", with_a_null, "response_schema_conformance"),
    ("terminateVm", with_a_body, "response_schema_conformance"),
    ("getStatus", with_a_null, "response_schema_conformance"),
]


PLANTS_OF_TODAY: list[tuple[str, Spoil, str]] = [
    ("restartVm", always_ok, "envelope_goes_with_request"),
    ("removeTemplateFromNodes", always_ok, "envelope_goes_with_request"),
    ("cancelDistribution", always_ok, "envelope_goes_with_request"),
    ("updateNodes", always_refused, "envelope_goes_with_request"),
    ("updateNodes", with_a_body, "response_schema_conformance"),
    ("listVlans", always_null, "response_schema_conformance"),
    ("getRegistryDisk", with_a_null, "response_schema_conformance"),
    ("listTemplates", always_whole, "shape_goes_with_query"),
    ("getReadyz", with_status_503, "envelope_goes_with_request"),
]

# The checks read the HTTP status by the release, which is one thing before 1.20 and another since.
PLANTED = [
    *((OLD, *plant) for plant in PLANTS),
    *((release, *plant) for release in RELEASES[1:-1] if FULL for plant in PLANTS),
    *((NEW, *plant) for plant in [*PLANTS[::3], *PLANTS_OF_TODAY]),
]


@pytest.mark.parametrize(("release", "operation_id", "spoil", "check"), PLANTED)
def test_a_planted_fault_is_found(release: str, operation_id: str, spoil: Spoil, check: str) -> None:
    """A controller that answers wrongly, in one way each, is found out by the check that is there for it."""
    assert check in found_by_check(Watched(release, spoil=spoil), operation_id)


# Links.


def live(watched: Watched, seed: int = 0) -> tuple[Counter[tuple[str, str]], set[str]]:
    """Let schemathesis follow links: which were followed and to what status, and the statuses they set out from."""
    followed: Counter[tuple[str, str]] = Counter()
    sources: set[str] = set()
    # By itself schemathesis never begins with what takes an id of something that, as it believes, nobody makes.
    with patch.object(stateful, "is_likely_root_transition", lambda operation, *_: operation.method == "post"):
        machine: Any = schema_for(watched, ["stateful"], 25).as_state_machine()

    class Life(machine):  # type: ignore[misc]
        def setup(self) -> None:
            watched.begin()

        def _get_target_for_result(self, result: Any) -> str | None:
            # At 1.8.0 a FAIL comes with 200 as well, and has no body for a link to take anything from.
            found: str | None = super()._get_target_for_result(result)
            return found if watched.last.said["status"] == "OK" else None

        def step(self, input: Any) -> Any:
            output = super().step(input)
            if input.is_applied:
                _, name, _ = input.transition.id.split(" -> ")
                followed[name.removeprefix("[200] "), watched.last.said["status"]] += 1
                sources.add(self.recorder.find_response(case_id=input.transition.parent_id).json()["status"])
            return output

    hypothesis.seed(seed)(Life)
    Life.run(
        settings=hypothesis.settings(
            max_examples=examples(25, 60),
            stateful_step_count=10,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
    )
    return followed, sources


@pytest.mark.parametrize("release", RELEASES if FULL else ENDS)
def test_links_lead_from_answer_to_answer(release: str) -> None:
    """What a success names the next request finds: instances live, are renamed, saved and terminated, groups end."""
    watched = Watched(release, step=25 * SECOND)
    links = {name for each in judge(release).operations.values() for name in each["responses"]["200"].get("links", {})}
    followed: set[str] = set()
    for seed in range(ROUNDS):
        if links - followed:
            found, sources = live(watched, seed)
            followed |= {name for name, status in found if status == "OK"}

            assert {"OK"} == sources

    assert links == followed


@pytest.mark.parametrize(
    ("spoil", "complaint"), [(always_the_list, "the shape for id"), (with_a_body, "violates schema")]
)
def test_a_fault_behind_a_link_is_found(spoil: Spoil, complaint: str) -> None:
    """The checks look at what links lead to as well."""

    def spoil_by_id(exchange: Seen) -> Seen:
        return spoil(exchange) if exchange.parameters.get("id") and exchange.said["status"] == "OK" else exchange

    with pytest.raises(FailureGroup) as caught:
        live(Watched(OLD, step=25 * SECOND, spoil=spoil_by_id))

    assert complaint in " ".join(str(failure) for failure in caught.value.exceptions).lower()
