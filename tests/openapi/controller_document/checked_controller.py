"""A controller that schemathesis sends requests to, and checks of its responses.

Schemathesis tells accepted from rejected data by the HTTP status. Here that is not enough: 1.8.0 answers FAIL with 200,
and 1.50.1 answers 400 to an unknown id, which is valid data. So one check reads the envelope instead, and another looks
at which of several shapes a response has, which in the document depends on the query.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple
from zlib import crc32

import schemathesis
from schemathesis.engine import events, from_schema
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
from tests.contracts import RELEASES

OLD, NEW = RELEASES[0], RELEASES[-1]
FIRST_AND_LAST = (OLD, NEW)
ROUNDS = 8
"""How often requests are drawn again to get all outcomes: draws depend on hypothesis, and on what is imported."""


def contract_at(release: str) -> Contract:
    """Return the contract of a release."""
    return contract_of(Release.parse(release))


@dataclass(frozen=True)
class ReleaseExchange(Exchange):
    """A request to a controller of some release, and its response."""

    release: str = OLD

    @property
    def operation(self) -> dict[str, Any] | None:
        """The operation of the document, or None."""
        return contract_at(self.release).operation(*self.operation_key)

    @property
    def query_key(self) -> str:
        """The key of x-when-query that applies."""
        return contract_at(self.release).selected_query(self)

    @cached_property
    def outcome(self) -> dict[str, Any]:
        """The envelope; a probe has none, so its HTTP status stands in for it."""
        return self.envelope or {"status": "OK" if self.status == 200 else "FAIL", "message": ""}


def find_complaint(case: schemathesis.Case, *checks: str) -> str | None:
    """Return what some of the contract's checks find wrong with the last exchange of a checked controller, or None.

    Schemathesis runs its checks in all tests; those of other applications pass.
    """
    checked = case.operation.schema.app
    if not isinstance(checked, CheckedController):
        return None
    found = [result for result in contract_at(checked.release).check_response(checked.last) if result.check in checks]
    return str(found[0]) if found else None


@schemathesis.check
def envelope_conforms_to_request(ctx: schemathesis.CheckContext, response: Any, case: schemathesis.Case) -> None:
    """Check that the envelope, its HTTP status and success or failure go with the request."""
    if text := find_complaint(case, "envelope", "json", "status-code", "forbidden-taken", "allowed-refused", "stray"):
        raise AssertionError(text)


@schemathesis.check
def shape_conforms_to_query(ctx: schemathesis.CheckContext, response: Any, case: schemathesis.Case) -> None:
    """Check that the response has the shape that the query selects."""
    if text := find_complaint(case, "shape", "schema", "undocumented"):
        raise AssertionError(text)


DEFAULT = Scenario.named("default")
Falsify = Callable[[ReleaseExchange], ReleaseExchange]


def default_controller(release: str) -> Controller:
    """Return a controller of the default scenario."""
    controller = DEFAULT.controller(Options(clock="manual", release=Release.parse(release)))
    controller.advance()
    return controller


def full_controller(release: str) -> Controller:
    """Return a controller of the default scenario with a distribution, a save image request, and more instances."""
    controller = default_controller(release)
    template_id = next(iter(controller.templates))
    instance_ids = instances.start_instances(controller, StartRequest(template_id), 2)
    settle(controller)
    save_images.create_save_image(controller, SaveRequest(instance_ids[0], new_template_name="saved"))
    distributions.create_distribution(controller, template_id)
    return controller


@dataclass
class CheckedController:
    """The application of a controller, with its last exchange.

    Without a step each request finds the same full controller. With one the clock advances by it before each request,
    and only ``reset`` brings back the first state. ``falsify`` changes responses.
    """

    release: str
    step: int = 0
    falsify: Falsify | None = None
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Responses by the id of the operation, and OK or FAIL."""
    shapes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Successes of an operation by the key of x-when-query that applied."""
    unknown_statuses: Counter[int] = field(default_factory=Counter)
    """HTTP statuses of requests that are no operation."""

    def __post_init__(self) -> None:
        self.controller = full_controller(self.release)
        self._app = create_app(self.controller)

    def reset(self) -> None:
        """Bring back the first state."""
        self.controller.replace_with(default_controller(self.release) if self.step else full_controller(self.release))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self.step:
            self.controller.clock.advance(self.step)
        else:
            self.reset()
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        response = Response.from_app(self._app, environ, buffered=True)
        exchange = ReleaseExchange(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            environ["QUERY_STRING"],
            body,
            response.status_code,
            {"content-type": response.content_type or ""},
            response.data,
            release=self.release,
        )
        if self.falsify and exchange.operation:
            exchange = self.falsify(exchange)
            response.data, response.status_code = exchange.response_content, exchange.status
        self.last = exchange
        self._count(exchange)
        return response(environ, start_response)

    def _count(self, exchange: ReleaseExchange) -> None:
        if exchange.operation is None:
            self.unknown_statuses[exchange.status] += 1
        else:
            status = exchange.outcome["status"]
            self.outcomes[exchange.operation["operationId"], status] += 1
            if status == "OK":
                self.shapes[exchange.operation["operationId"], exchange.query_key] += 1


class KnownNames(NamedTuple):
    """The ids and tags that requests can name in a full controller."""

    templates: list[str]
    nodes: list[str]
    groups: list[str]
    instances: list[str]
    distributions: list[str]
    save_images: list[str]
    tags: list[str]

    @classmethod
    def in_controller(cls, controller: Controller) -> KnownNames:
        """Return those of a controller."""
        kinds = ("templates", "nodes", "groups", "instances", "distributions", "save_images")
        return cls(*([*getattr(controller, kind)] for kind in kinds), ["vanilla", "xcode-15"])


BODY_NAMES = {
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
"""The kinds of names that fields of bodies take."""

CONFLICTING_FIELDS = ("tag", "version", "node_id", "group_id")
"""Fields of a start that the template, or the node, may not have."""

QUERY_NAMES = {
    "/api/v1/vm": "instances",
    "/api/v1/node": "nodes",
    "/api/v1/registry/vm": "templates",
    "/api/v1/registry/vm/remove": "templates",
    "/api/v1/registry/revert": "templates",
    "/api/v1/registry/vm/distribute": "distributions",
    "/api/v1/image": "save_images",
    "/api/v1/group": "groups",
}
"""The kinds of names that the id in a query takes, by path."""


@schemathesis.hook
def before_call(context: Any, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Replace most texts in place of an id with a known one: made-up ones would never succeed.

    A text that is known already, such as an id from a link, stays. The choice depends on the text alone.
    """
    checked = case.operation.schema.app
    if not isinstance(checked, CheckedController):
        return
    known = KnownNames.in_controller(checked.controller)
    if isinstance(case.body, dict):
        case.body = {key: _with_known_names(value, BODY_NAMES.get(key), known) for key, value in case.body.items()}
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
        if vmid in known.templates and _draw("".join(case.body)) % 3:  # fields that go together are seldom drawn
            case.body = {key: value for key, value in case.body.items() if key not in CONFLICTING_FIELDS}
        if checked.step and "vmid" in case.body:  # links need starts that succeed, and instances that find a node
            case.body = {"vmid": known.templates[0], "name": case.body.get("name", "")}
        if checked.step and "template_id" in case.body:
            case.body = {"template_id": known.templates[0]}
    if case.query and case.query.get("id"):
        case.query = {
            **case.query,
            "id": _with_known_names(case.query["id"], QUERY_NAMES.get(case.path), known, odds=3),
        }
    if case.path == "/api/v1/registry/revert" and case.query and _draw("".join(case.query)) % 3:
        # A version that the template has is seldom drawn.
        case.query = {key: value for key, value in case.query.items() if key == "id"}
    if case.query and case.query.get("tag"):
        case.query = {**case.query, "tag": _with_known_names(case.query["tag"], "tags", known)}
    if case.query and isinstance(case.query.get("apiVer"), str) and _draw(case.query["apiVer"]) % 2:
        case.query = {**case.query, "apiVer": "v1"}


def _draw(text: str) -> int:
    return crc32(text.encode("utf-8", "replace"))


def _with_known_names(value: Any, kind: str | None, known: KnownNames, odds: int = 4) -> Any:
    """Return a value with known names in place of texts, except for one text in ``odds``."""
    if isinstance(value, list):
        return [_with_known_names(item, kind, known) for item in value]
    if kind is None or not isinstance(value, str) or not value:
        return value
    names: list[str] = getattr(known, kind)
    draw = _draw(value)
    return value if value in names or not names or draw % odds == 0 else names[draw // odds % len(names)]


# These checks read HTTP statuses; the two checks above replace them.
DISABLED_CHECKS = {name: {"enabled": False} for name in ("positive_data_acceptance", "negative_data_rejection")}
UNIT_PHASES = ("examples", "coverage", "fuzzing")
SHORT_PHASES = ("examples", "fuzzing")


def schema_for(checked: CheckedController, phases: Iterable[str], examples: int, seed: int = 20) -> Any:
    """Return the contract of a controller's release for schemathesis, bound to its application."""
    settings: dict[str, Any] = {
        name: {"enabled": name in phases, "extra-data-sources": {"responses": False}} for name in UNIT_PHASES
    }
    settings["coverage"]["generate-duplicate-query-parameters"] = True
    # Links that schemathesis infers are partly wrong; only those of the document are followed.
    settings["stateful"] = {
        "enabled": "stateful" in phases,
        "generation": {"mode": "positive"},
        "inference": {"algorithms": []},
        "link-calibration": False,
    }
    config = schemathesis.Config.from_dict(
        {
            "seed": seed,
            "checks": DISABLED_CHECKS,
            "phases": settings,
            "continue-on-failure": True,
            "generation": {"max-examples": examples, "deterministic": seed == 20, "database": "none"},
        }
    )
    schema = schemathesis.openapi.from_dict(contract_at(checked.release).document, config=config)
    schema.app = checked
    return schema


WITHOUT_ALLOW = "without required `Allow` header"
"""Part of the message about a 405 that does not name the methods, as the real controller's does not."""


def find_failures(schema: Any) -> Iterator[str]:
    """Yield what schemathesis finds in the phases that send single requests."""
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            yield f"error: {event!r}"
        if isinstance(event, events.ScenarioFinished):
            for checks in event.recorder.checks.values():
                for check in checks:
                    if check.failure_info is not None and WITHOUT_ALLOW not in check.failure_info.failure.message:
                        failure = check.failure_info.failure
                        yield f"{event.recorder.label}: {check.name}: {failure.title}: {failure.message}"[:600]


def failing_checks(checked: CheckedController, operation_id: str) -> set[str]:
    """Return the names of the checks that complain about one operation."""
    found = find_failures(schema_for(checked, ["fuzzing"], 25).include(operation_id=operation_id))
    return {failure.split(": ")[1] for failure in found}
