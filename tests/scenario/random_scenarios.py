"""Random scenarios: each key of a section with any value that its field takes.

Values at limits, blank ones and those that are equal to a default are frequent. Keys and values are found by the
declarations of the sections, so that a key that is added is tried as well. What refers to something else is drawn from
what the scenario has. What the loader refuses, since it contradicts something else, is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st
from marshmallow import ValidationError
from marshmallow import fields as base

from mockanka.core.faults import LIFECYCLE_FAULTS, RESPONSE_FAULTS
from mockanka.core.lifecycle import ON_NODE_STATES, InstanceState
from mockanka.core.operations import methods_by_path
from mockanka.core.release import KNOWN_RELEASES, SINCE
from mockanka.scenario import Options, fields
from mockanka.scenario.base import Origin, Section, SectionSchema
from mockanka.scenario.build import build
from mockanka.scenario.fault_rules import FaultActionSection, FaultMatchSection, FaultSection
from mockanka.scenario.references import InvalidScenario
from mockanka.scenario.sections import (
    CachedSection,
    DeliverySection,
    DistributionSection,
    GroupSection,
    InstanceSection,
    NodeSection,
    SaveImageSection,
    ScenarioSection,
    TemplateSection,
    VersionSection,
)
from mockanka.scenario.source import Path, problems_in

Data = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]

RELEASES = sorted({KNOWN_RELEASES[0], KNOWN_RELEASES[-1], *(release.known for release in SINCE.values())})
"""The releases with which something came, the oldest and the newest."""
TEXTS = ["", " ", "x", "1.50", "null", "yes", "~", "0x1F", "a: b", "é\u2028", "\t#", '"\n', "{n}", "-", "\0\x7f\ufeff"]
TEXTS += ["😀 " * 100, "a\n\n  b \n", "<<", "2024-01-01", "1_000", "1:30", "010", "\x85"]
LENGTHS = ["0", "1ns", "1s", "20s", "1m30.5s", "1h", "8760h"]
SIZES = [0, 1, "1GB", "2GiB", "20GB", "500GB", "1TB", fields.MAX_SIZE]
MOMENTS = [
    "1970-01-01T00:00:00Z",
    "2023-12-25T00:00:00Z",
    "2023-12-31T23:59:59.000000001Z",
    "2024-01-01T00:00:00Z",
    "2024-01-01T00:00:00.000000001Z",
    "2025-02-03T04:05:06Z",
]
SCRIPTS = ["", "ZmFpbA==", "bm90aGluZw=="]
OBJECTS = [{"a": 1.5}, {"vm": None}, {"é": ["x", {"1.50": "1.50"}]}, {"n": 10**18, "b": True, "0x1F": "0x1F"}]

CHOICES: dict[type[base.Field[Any]], Sequence[Any]] = {
    fields.Text: TEXTS,
    fields.NonEmptyText: TEXTS[1:],
    fields.AsciiText: ["x", "1.50", "null", "text/plain"],
    fields.ReleaseText: [str(release) for release in RELEASES],
    fields.Boolean: [True, False],
    fields.FixedDuration: LENGTHS,
    fields.PositiveDuration: LENGTHS[1:],
    fields.Moment: MOMENTS,
    fields.Bandwidth: ["1bit/s", "1Gbit/s", "10MB/s", "1000001bit/s"],
    fields.Size: SIZES,
    fields.Ram: ["1M", "1G", "4G", "4096M", 16, "2500M"],
    fields.RandomDuration: [*LENGTHS, {"uniform": ["0", "2s"]}, {"normal": ["5s", "1ns"]}, {"lognormal": ["20s", 0.1]}],
    fields.ResponseDelay: [*LENGTHS, {"wall": "0"}, {"wall": "1ms"}, {"lognormal": ["1s", 0]}],
    fields.Metadata: [
        {"": 2**63, "k": -(10**28)},
        {},
        {"": ""},
        {"k": "1"},
        {"1": 1},
        {"yes": True, "no": False},
        {"n": 0, "s": "0", "é": "\u2028"},
    ],
    fields.TextList: [[], ["x"], ["1", ""], ["x", "x"]],
    fields.Words: ["ip", ["ip"], ["ip", "port_forwarding"]],
    fields.Switch: [True],
    fields.SwitchOrDuration: [True, "1ns", "30s"],
    fields.TextOrTrue: [True, "true", "x"],
    fields.Percentage: ["0%", "100%", "40%", "33.3333333333333333%", "0.0001%"],
    fields.Portion: ["0%", "100%", "12.5%", 0, 1, "1MiB"],
    fields.JsonValue: OBJECTS,
    fields.BodyText: ["", "{}", "1.50", {"a": [1.5, None]}, "é\u2028"],
    fields.TextMapping: [{"id": "1.50"}, {"id": None}, {"é": "", "null": "null"}],
    fields.HeaderPatterns: [{"X-Test": "*"}, {"accept": ""}],
    fields.CountRange: [1, "2-5", "1-1000000000", "3-3"],
    fields.ItemSelector: [0, 7, {"name": "x"}, {"n": 1}],
}


def draw_value(draw: Draw, field: base.Field[Any], default: Any, origin: Origin = Origin.AUTHORED) -> Any:
    """Draw a value of a field as people write it; that of the default is frequent."""
    if isinstance(field, base.Nested):
        schema = field.schema
        assert isinstance(schema, SectionSchema)
        return draw_section(draw, schema.section, origin)
    if isinstance(field, base.List):
        return [draw_value(draw, field.inner, ..., origin) for _ in range(draw(st.integers(0, 2)))]
    written = [] if default is ... or default is None else [field.serialize("value", {"value": default})]
    if isinstance(field, fields.Choice):
        return draw(st.sampled_from([*written, *field.choices]))
    if isinstance(field, fields.Integer):
        low = -(2**40) if field.low is None else field.low
        high = 2**40 if field.high is None else field.high
        small = [number for number in (0, 1, 2, 3) if low <= number <= high]
        return draw(st.sampled_from([*written, *small, *small, low, high]))
    if isinstance(field, fields.Number):
        numbers = [0.1 + 0.2, field.high, 0.5, 1e-9, *([] if field.above_zero else [field.low, 0])]
        return draw(st.sampled_from([*written, *numbers]))
    if isinstance(field, base.Dict):
        return {}
    return draw(st.sampled_from([*written, *written, *CHOICES[type(field)]]))


def draw_section(
    draw: Draw, section: type[Section[Any]], origin: Origin = Origin.AUTHORED, most: int = 8, **own: Any
) -> Data:
    """Draw a section: its required keys, some of the others, and ``own`` ones as they are, unless they are None."""
    layout = section.layout()
    names = [name for name, spec in layout.keys.items() if name not in own and origin in spec.origins]
    required = {name for name in names if layout.keys[name].field.required}
    chosen = draw(st.sets(st.sampled_from(names), max_size=most)) if names else set()
    data = {}
    for name in layout.keys:
        key = layout.keys[name].field.data_key or name
        if own.get(name) is not None:
            data[key] = own[name]
        elif name in required or name in chosen:
            default = layout.homes[name].default if name in layout.homes else ...
            data[key] = draw_value(draw, layout.keys[name].field, default, origin)
    return data


NAMES = ["a", "b:c", "1.50", "é {n}", "null"]
TAGS = ["t", "", "15.0", "a:b"]


@st.composite
def scenario_data(draw: Draw) -> Data:
    """Strategy for the plain data of valid scenarios that people write, or ``mockanka snapshot``."""
    origin = draw(st.sampled_from([Origin.AUTHORED, Origin.SNAPSHOT]))
    templates = [_draw_template(draw, name) for name in NAMES[: draw(st.integers(1, 2))]]
    groups = [_pick(draw, NAMES) for _ in range(draw(st.integers(0, 2)))]
    nodes = [_draw_node(draw, origin, name, templates, groups) for name in NAMES[: draw(st.integers(0, 3))]]
    node_names = [node["name"].replace("{n}", "1") if "count" in node else node["name"] for node in nodes]
    instances = [
        _draw_instance(draw, origin, templates, node_names, groups, index) for index in range(draw(st.integers(0, 4)))
    ]
    ids = [instance["id"] for instance in instances if "id" in instance and "node" in instance]
    data = draw_section(
        draw,
        ScenarioSection,
        origin,
        most=6,
        snapshot=True if origin is Origin.SNAPSHOT else None,
        pending=None,
        format=None,
        counters=None,
        placement_due=None,
        templates=templates,
        nodes=nodes,
        groups=[
            draw_section(draw, GroupSection, name=name, fallback=_maybe(draw, groups), nodes=None) for name in groups
        ],
        instances=instances,
        distributions=[_draw_distribution(draw, templates, node_names) for _ in range(draw(st.integers(0, 1)))],
        save_images=[_draw_save(draw, templates, ids) for _ in range(draw(st.integers(0, 1)) if ids else 0)],
        faults=[_draw_fault(draw) for _ in range(draw(st.integers(0, 2)))],
    )
    data.setdefault("controller", {}).setdefault("release", _pick(draw, CHOICES[fields.ReleaseText]))
    data.setdefault("clock", {})["mode"] = "manual"
    return leave_out_refused(data)


def leave_out_refused(data: Data) -> Data:
    """Return a scenario without the keys and items that the loader refuses."""
    while True:
        try:
            build(ScenarioSection.load(data), Options())
        except ValidationError as error:
            path = problems_in(error.messages)[0].path
        except InvalidScenario as error:
            path = error.problem.path
        else:
            return data
        _leave_out(data, path)


def _leave_out(data: Data, path: Path) -> None:
    """Remove what stands at a path, or what is nearest above it; a section without a required key goes as a whole."""
    *above, last = path
    owner: Any = data
    for part in above:
        owner = owner[part]
    if isinstance(owner, dict) and (last not in owner or last in ("name", "do", "template", "instance")):
        _leave_out(data, tuple(above))
    else:
        del owner[last]


def _pick(draw: Draw, values: Sequence[Any]) -> Any:
    return draw(st.sampled_from(values))


def _maybe(draw: Draw, values: Sequence[Any]) -> Any:
    return draw(st.none() | st.sampled_from(values)) if values else None


def _draw_template(draw: Draw, name: str) -> Data:
    versions = []
    for number in range(draw(st.integers(1, 3))):
        version = draw_section(draw, VersionSection, tag=_pick(draw, TAGS), deleted=None, number=None)
        if draw(st.booleans()):
            version["number"] = number * 10
        versions.append(version)
    return draw_section(draw, TemplateSection, name=name, versions=versions, deleted=None)


def _draw_version(draw: Draw, templates: Sequence[Data]) -> dict[str, str | None]:
    template = _pick(draw, templates)
    return {"template": template["name"], "tag": _maybe(draw, [version["tag"] for version in template["versions"]])}


def _draw_node(draw: Draw, origin: Origin, name: str, templates: Sequence[Data], groups: Sequence[str]) -> Data:
    count = draw(st.sampled_from([None, None, 1, 2]))
    cached = []
    for _ in range(draw(st.integers(0, 2))):
        version = _draw_version(draw, templates)
        text = version["template"] if version["tag"] is None else f"{version['template']}:{version['tag']}"
        cached.append(draw_section(draw, CachedSection, version=text, template=None, serial=None))
    return draw_section(
        draw,
        NodeSection,
        origin,
        name=f"{name.replace('{n}', '')}{{n}}" if count else name,
        count=count,
        cached=cached,
        groups=_maybe(draw, [[], list(groups[:1]), list(groups)]),
        capacity=_maybe(draw, [0, 2, 4]),
        disk=_maybe(draw, ["1TB", "500GB", fields.MAX_SIZE]),
    )


def _draw_instance(
    draw: Draw, origin: Origin, templates: Sequence[Data], nodes: Sequence[str], groups: Sequence[str], index: int
) -> Data:
    node = _maybe(draw, nodes) or _maybe(draw, nodes)
    states = [*ON_NODE_STATES, *ON_NODE_STATES] if node else [InstanceState.SCHEDULING]
    return draw_section(
        draw,
        InstanceSection,
        origin,
        **_draw_version(draw, templates),
        version=None,
        serial=None,
        id=_maybe(draw, [f"I{index}"]),
        node=node,
        state=_maybe(draw, sorted([*states, InstanceState.ERROR, InstanceState.TERMINATED])),
        pinned_node=_maybe(draw, nodes),
        group=_maybe(draw, groups),
        count=_maybe(draw, [1, 2]),
        startup_script=_maybe(draw, SCRIPTS),
    )


def _draw_distribution(draw: Draw, templates: Sequence[Data], nodes: Sequence[str]) -> Data:
    deliveries = [draw_section(draw, DeliverySection, node=name) for name in nodes] or None
    return draw_section(
        draw,
        DistributionSection,
        **_draw_version(draw, templates),
        version=None,
        nodes=_maybe(draw, [list(nodes[:1])]),
        group=None,
        serial=None,
        deliveries=draw(st.sampled_from([None, deliveries])),
    )


def _draw_save(draw: Draw, templates: Sequence[Data], ids: Sequence[str]) -> Data:
    return draw_section(
        draw,
        SaveImageSection,
        instance=_pick(draw, ids),
        new_template_name=_pick(draw, TEXTS),
        template=_maybe(draw, [template["name"] for template in templates]),
        script=_maybe(draw, SCRIPTS),
    )


def _draw_fault(draw: Draw) -> Data:
    event = draw(st.none() | st.sampled_from(list(LIFECYCLE_FAULTS)))
    kinds = RESPONSE_FAULTS if event is None else LIFECYCLE_FAULTS[event]
    kind = _pick(draw, sorted(kinds))
    keys = {kind, *draw(st.sets(st.sampled_from(sorted(kinds[kind]))))} if kinds[kind] else {kind}
    layout = FaultActionSection.layout()
    action = {}
    for name, spec in layout.keys.items():
        key = spec.field.data_key or name
        if key in keys:
            action[key] = draw_value(draw, spec.field, layout.homes[name].default)
    match: Data = {}
    if event is None:
        paths = methods_by_path(KNOWN_RELEASES[0])
        match = draw_section(
            draw,
            FaultMatchSection,
            most=3,
            method=None,
            path=_maybe(draw, list(paths)),
            **dict.fromkeys(("event", "instance", "name", "external_id", "template", "tag", "node", "group")),
        )
    else:
        match = {"event": event}
    return draw_section(draw, FaultSection, match=match, do=action)
