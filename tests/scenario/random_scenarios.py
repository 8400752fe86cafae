"""Random scenarios: any keys of any section, with values at their limits and values that are the defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from marshmallow import fields as marshmallow_fields

from mockanka.core.durations import Fixed, Lognormal, Normal, Uniform
from mockanka.core.lifecycle import ON_NODE_STATES
from mockanka.scenario import Options, Scenario, ScenarioError, fields
from mockanka.scenario.base import Origin, Section
from mockanka.scenario.sections import (
    DistributionSection,
    GroupSection,
    InstanceSection,
    NodeSection,
    SaveImageSection,
    ScenarioSection,
    TemplateSection,
)
from mockanka.units import GB, HOUR, MINUTE, SECOND

RELEASES = ("1.8.0", "1.13.0", "1.20.0", "1.24.0", "1.36.0", "1.43.0", "1.49.0", "1.50.1", "1.51.2")
START = 1_704_067_200 * SECOND
TEXTS = (
    "",
    "a",
    "b",
    "null",
    "true",
    "1.50",
    "0x1F",
    "~",
    " x ",
    "- y",
    "#",
    "a: b",
    "ä\u2028\n",
    "\x7f",
    "2024-01-01",
)
MOMENTS = (0, START - 9600 * HOUR, START - HOUR, START - 1, START, START + 1, START + MINUTE, START + 9600 * HOUR)
DURATIONS = (0, 1, SECOND, 20 * SECOND, HOUR)
SIZES = (0, 1, 10**9, 20 * GB, 10**12, fields.MAX_SIZE)
METADATA = st.dictionaries(
    st.sampled_from(TEXTS), st.sampled_from((*TEXTS, True, False, 0, -1, 2**63, 10**30)), max_size=3
)
OPERATIONS = {"templates", "nodes", "groups", "instances", "distributions", "save_images"}
"""The lists of a scenario, whose items name each other."""


def written_values(field: marshmallow_fields.Field[Any]) -> SearchStrategy[Any]:
    """Return values of a field as a scenario has them, most of which it takes."""
    if isinstance(field, marshmallow_fields.Nested):
        return section_data(field.schema.section)  # type: ignore[union-attr]
    if isinstance(field, marshmallow_fields.List):
        return st.lists(written_values(field.inner), max_size=2)
    if isinstance(field, fields.Choice):
        return st.sampled_from(field.choices)
    if isinstance(field, fields.ReleaseText):
        return st.sampled_from(RELEASES)
    if isinstance(field, fields.Text):
        return st.sampled_from(TEXTS)
    if isinstance(field, fields.Integer):
        low, high = -5 if field.low is None else field.low, 40 if field.high is None else field.high
        return st.sampled_from(sorted({low, low + 1, min(low + 3, high), min(8, high), min(100, high), high}))
    if isinstance(field, fields.Number):
        return st.sampled_from([field.low, (field.low + field.high) / 2, 1 / 3, field.high])
    if isinstance(field, fields.Moment):
        return st.sampled_from([field.format(moment) for moment in MOMENTS])
    if isinstance(field, fields.FixedDuration):
        return st.sampled_from([field.format(length) for length in DURATIONS])
    if isinstance(field, fields.RandomDuration):
        lengths = (Fixed(0), Fixed(SECOND), Uniform(0, SECOND), Normal(SECOND, 1), Lognormal(SECOND, 1 / 3))
        return st.sampled_from([field._serialize(length, None, None) for length in lengths])
    if isinstance(field, fields.Bandwidth):
        return st.sampled_from(["1bit/s", "1Gbit/s", "100Gbit/s"])
    if isinstance(field, fields.Size):
        return st.sampled_from([*SIZES, "10GB"])
    if isinstance(field, fields.Ram):
        return st.sampled_from(["1M", "1G", "4096M", 4])
    if isinstance(field, fields.Boolean):
        return st.booleans()
    if isinstance(field, fields.TextList):
        return st.lists(st.sampled_from(TEXTS), max_size=2)
    if isinstance(field, fields.Metadata):
        return METADATA
    raise AssertionError(f"no values are known for {type(field).__name__}")


def default_values(section: type[Section[Any]], name: str) -> list[Any]:
    """Return the default that the record of a section has for a key, as a scenario has it, in a list."""
    layout = section.layout()
    home = layout.homes.get(name)
    if home is None or home.default in (..., None, (), {}) or not layout.keys[name].loaded:
        return []
    try:
        return [layout.keys[name].field._serialize(home.default, name, None)]
    except (AttributeError, ValueError):
        return []  # a part of a record, which has keys of its own


@st.composite
def section_data(draw: st.DrawFn, section: type[Section[Any]], names: Mapping[str, Any] | None = None) -> Any:
    """Draw the data of a section: some of its keys. ``names`` has strategies for those that refer to others."""
    data: dict[str, Any] = {}
    chosen = draw(st.sets(st.sampled_from(sorted(section.layout().keys)), max_size=8))
    for name, declared in section.layout().keys.items():
        if Origin.AUTHORED not in declared.origins or not (declared.field.required or name in chosen):
            continue
        key = declared.field.data_key or name
        if names and name in names:
            data[key] = draw(names[name])
        elif defaults := default_values(section, name):
            data[key] = draw(written_values(declared.field) | st.sampled_from(defaults))
        else:
            data[key] = draw(written_values(declared.field))
    return data


@st.composite
def scenario_data(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the data of a scenario that loads: what contradicts the rest is left out."""
    top = {name: st.nothing() for name in OPERATIONS}
    numbers = {kind: draw(st.integers(low, 3)) for kind, low in (("template", 1), ("node", 1), ("group", 0))}
    known = {kind: [f"{kind}-{number}" for number in range(count)] for kind, count in numbers.items()}
    name = {kind: st.sampled_from(names or ["nothing"]) for kind, names in known.items()}
    cached = st.lists(name["template"], max_size=2, unique=True)
    places = {
        "node": name["node"],
        "pinned_node": name["node"],
        "group": name["group"],
        "template": name["template"],
        "tag": st.just("first"),
        "version": st.just(0),
    }
    data: dict[str, Any] = {
        key: draw(written_values(declared.field))
        for key, declared in ScenarioSection.layout().keys.items()
        if key not in {*top, "faults", "snapshot", "counters", "placement_due", "pending"}
        and Origin.AUTHORED in declared.origins
        and draw(st.booleans())
    }
    data["controller"] = {**data.get("controller", {}), "release": draw(st.sampled_from(RELEASES))}
    data["clock"] = {"mode": "manual"}
    count = st.none() | st.integers(1, 2)
    for kind, section, references in (
        ("template", TemplateSection, {}),
        ("group", GroupSection, {"nodes": st.lists(name["node"], max_size=2), "fallback": name["group"]}),
        ("node", NodeSection, {"cached": cached, "groups": st.lists(name["group"], max_size=2), "count": st.none()}),
    ):
        data[f"{kind}s"] = [{**draw(section_data(section, references)), "name": own_name} for own_name in known[kind]]
    for template in data["templates"]:
        template["versions"] = [{"tag": "first"}, *template.get("versions", ())]
    instances = draw(st.lists(section_data(InstanceSection, {**places, "count": count}), max_size=4))
    on_nodes = st.fixed_dictionaries(
        {"node": name["node"]}, optional={"state": st.sampled_from(sorted(ON_NODE_STATES))}
    )
    data["instances"] = [
        {**draw(st.just({}) | on_nodes), **instance, "id": f"instance-{number}"}
        for number, instance in enumerate(instances)
    ]
    references = {"nodes": st.lists(name["node"], max_size=2), **places}
    data["distributions"] = draw(st.lists(section_data(DistributionSection, references), max_size=2))
    saved = {**places, "instance": st.sampled_from(["instance-0", "instance-1"])}
    data["save_images"] = draw(st.lists(section_data(SaveImageSection, saved), max_size=2))
    return without_contradictions(data)


def without_contradictions(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data without the keys and items that its errors name, one after the other."""
    while True:
        try:
            Scenario.from_data(data).controller(Options())
        except ScenarioError as error:
            for problem in reversed(error.problems):  # so that the places of those before stay
                remove(data, problem.removeprefix("scenario: ").partition(": ")[0])
        else:
            return data


def remove(data: Any, path: str) -> None:
    """Remove what stands at a path like ``nodes[0].usb``; if that is missing or required, what it stands in."""
    parts = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path)]
    owners = [data]
    for part in parts[:-1]:
        if isinstance(owners[-1], dict) and part not in owners[-1]:
            return  # it was removed with another
        if not isinstance(owners[-1], dict | list):
            break  # a text that stands for a section
        owners.append(owners[-1][part])
    for owner, part in reversed([*zip(owners, parts, strict=False)]):
        if isinstance(owner, list):
            del owner[part]  # type: ignore[arg-type]
            return
        if isinstance(owner, dict) and part in owner and part != "name":
            del owner[part]
            return
