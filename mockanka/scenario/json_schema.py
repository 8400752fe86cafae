"""The scenario format as a JSON Schema, so that editors complete keys and mark mistakes while one types."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from marshmallow import fields as base

from mockanka.scenario import fields
from mockanka.scenario.base import Strict
from mockanka.scenario.sections import ScenarioSection

Json = dict[str, Any]
NUMBER_LIKE = ["string", "number"]
_LENGTH = r"\s*(0|(\d+(\.\d+)?(ns|us|µs|μs|ms|s|m|h))+)\s*"
_PERCENT = r"\s*(\d{1,2}(\.\d*)?|\.\d+|100(\.0*)?)\s*%\s*"
_AMOUNT = r"\s*\d+(\.\d+)?\s*([kKmMgGtT]?i?[bB])?\s*"
LENGTH, PERCENT, PART = f"^{_LENGTH}$", f"^{_PERCENT}$", f"^({_PERCENT}|{_AMOUNT})$"
"""What editors can tell of a text as one types it; the units are those of mockanka.units."""


def json_schema() -> Json:
    """A JSON Schema (2020-12) of whole scenarios. An editor types YAML's scalars itself, so numbers pass as text."""
    definitions: Json = {}
    root = _object(ScenarioSection.layout().schema, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mockanka scenario",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _object(of: Strict, definitions: Json) -> Json:
    keys = {field.data_key or name: field for name, field in of.fields.items()}
    properties = {key: _property(field, definitions) for key, field in keys.items()}
    required = [key for key, field in keys.items() if field.required]
    shape: Json = {"type": "object", "additionalProperties": False, "properties": properties}
    if required:
        shape["required"] = required
    return {"anyOf": [{"type": "string"}, shape]} if of.text_means else shape


def _property(field: base.Field[Any], definitions: Json) -> Json:
    if isinstance(field, base.List):
        return {"type": "array", "items": _property(field.inner, definitions)}
    if isinstance(field, base.Nested):
        of = field.schema
        assert isinstance(of, Strict)
        name = type(of).__name__
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _object(of, definitions)
        return {"$ref": f"#/$defs/{name}"}
    return _scalar(field)


@singledispatch
def _scalar(field: base.Field[Any]) -> Json:
    raise TypeError(f"no JSON Schema for {field}")


@_scalar.register
def _(field: fields.Text) -> Json:
    return {"type": NUMBER_LIKE}


@_scalar.register
def _(field: fields.Choice) -> Json:
    return {"enum": field.choices}


@_scalar.register
def _(field: fields.Choices) -> Json:
    one = {"enum": field.choice.choices}
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


@_scalar.register
def _(field: fields.Integer) -> Json:
    limits = {"minimum": field.low, "maximum": field.high}
    return {"type": "integer", **{key: value for key, value in limits.items() if value is not None}}


@_scalar.register
def _(field: fields.Number) -> Json:
    return {"type": "number", "exclusiveMinimum" if field.above_zero else "minimum": field.low}


@_scalar.register
def _(field: fields.Boolean) -> Json:
    return {"type": "boolean"}


@_scalar.register
def _(field: fields.FixedDuration) -> Json:
    return {"type": "string", "pattern": LENGTH, "examples": ["20s", "1m30s", "250ms"]}


@_scalar.register
def _(field: fields.Moment) -> Json:
    return {"type": "string", "examples": ["2024-01-01T00:00:00Z"]}


@_scalar.register
def _(field: fields.Bandwidth) -> Json:
    return {"type": "string", "examples": ["1Gbit/s", "100Mbit/s"]}


@_scalar.register
def _(field: fields.Size) -> Json:
    return {"type": ["string", "integer"], "examples": ["20GB", "512MiB"]}


@_scalar.register
def _(field: fields.Ram) -> Json:
    return {"type": ["string", "integer"], "examples": ["4G", "2048M"]}


@_scalar.register
def _(field: fields.RandomDuration) -> Json:
    length = {"type": "string", "pattern": LENGTH}

    def pair(second: Json) -> Json:
        return {"type": "array", "prefixItems": [length, second], "minItems": 2, "maxItems": 2}

    kinds = {"uniform": pair(length), "normal": pair(length), "lognormal": pair({})}
    distributions = {"type": "object", "properties": kinds, "additionalProperties": False, "minProperties": 1}
    return {"anyOf": [length, {**distributions, "maxProperties": 1}], "examples": ["20s"]}


@_scalar.register
def _(field: fields.Metadata) -> Json:
    return {"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}}


@_scalar.register
def _(field: fields.TextList) -> Json:
    return {"type": "array", "items": {"type": NUMBER_LIKE}}


@_scalar.register
def _(field: fields.Switch) -> Json:
    return {"const": True}


@_scalar.register
def _(field: fields.Percentage) -> Json:
    return {"type": "string", "pattern": PERCENT, "examples": ["40%"]}


@_scalar.register
def _(field: fields.Portion) -> Json:
    return {"type": ["string", "integer"], "pattern": PART, "minimum": 0, "examples": ["40%", 120]}


@_scalar.register
def _(field: fields.JsonValue) -> Json:
    return {"type": "object"} if field.only_objects else {}


@_scalar.register
def _(field: fields.TextMapping) -> Json:
    return {"type": "object", "additionalProperties": {"type": NUMBER_LIKE}}


@_scalar.register
def _(field: base.Dict) -> Json:
    return {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}}
