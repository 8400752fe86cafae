"""Writes the scenario format as a JSON Schema, so that editors complete keys and mark mistakes."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from marshmallow import fields as base

from mockanka.scenario import fields
from mockanka.scenario.base import StrictSchema
from mockanka.scenario.sections import ScenarioSection

Definition = dict[str, Any]
NUMBER_LIKE = ["string", "number"]
_LENGTH = r"\s*(0|(\d+(\.\d+)?(ns|us|µs|μs|ms|s|m|h))+)\s*"
_PERCENT = r"\s*(\d{1,2}(\.\d*)?|\.\d+|100(\.0*)?)\s*%\s*"
_AMOUNT = r"\s*\d+(\.\d+)?\s*([kKmMgGtT]?i?[bB])?\s*"
LENGTH, PERCENT, PART = f"^{_LENGTH}$", f"^{_PERCENT}$", f"^({_PERCENT}|{_AMOUNT})$"
"""Patterns of texts with a unit; the units are those of mockanka.units."""


def json_schema() -> Definition:
    """Return a JSON Schema (2020-12) of scenarios. Numbers pass as text, as editors give YAML's scalars their types."""
    definitions: Definition = {}
    root = _object(ScenarioSection.layout().schema, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mockanka scenario",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _object(schema: StrictSchema, definitions: Definition) -> Definition:
    keys = {field.data_key or name: field for name, field in schema.fields.items()}
    properties = {key: _property(field, definitions) for key, field in keys.items()}
    required = [key for key, field in keys.items() if field.required]
    shape: Definition = {"type": "object", "additionalProperties": False, "properties": properties}
    if required:
        shape["required"] = required
    return {"anyOf": [{"type": "string"}, shape]} if schema.text_means else shape


def _property(field: base.Field[Any], definitions: Definition) -> Definition:
    if isinstance(field, base.List):
        return {"type": "array", "items": _property(field.inner, definitions)}
    if isinstance(field, base.Nested):
        schema = field.schema
        assert isinstance(schema, StrictSchema)
        name = type(schema).__name__
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _object(schema, definitions)
        return {"$ref": f"#/$defs/{name}"}
    return _scalar(field)


@singledispatch
def _scalar(field: base.Field[Any]) -> Definition:
    raise TypeError(f"no JSON Schema for {field}")


@_scalar.register
def _(field: fields.Text) -> Definition:
    return {"type": NUMBER_LIKE}


@_scalar.register
def _(field: fields.Choice) -> Definition:
    return {"enum": field.choices}


@_scalar.register
def _(field: fields.Integer) -> Definition:
    limits = {"minimum": field.low, "maximum": field.high}
    return {"type": "integer", **{key: value for key, value in limits.items() if value is not None}}


@_scalar.register
def _(field: fields.Number) -> Definition:
    return {"type": "number", "exclusiveMinimum" if field.above_zero else "minimum": field.low}


@_scalar.register
def _(field: fields.Boolean) -> Definition:
    return {"type": "boolean"}


@_scalar.register
def _(field: fields.FixedDuration) -> Definition:
    return {"type": "string", "pattern": LENGTH, "examples": ["20s", "1m30s", "250ms"]}


@_scalar.register
def _(field: fields.Moment) -> Definition:
    return {"type": "string", "examples": ["2024-01-01T00:00:00Z"]}


@_scalar.register
def _(field: fields.Bandwidth) -> Definition:
    return {"type": "string", "examples": ["1Gbit/s", "100Mbit/s"]}


@_scalar.register
def _(field: fields.Size) -> Definition:
    return {"type": ["string", "integer"], "examples": ["20GB", "512MiB"]}


@_scalar.register
def _(field: fields.Ram) -> Definition:
    return {"type": ["string", "integer"], "examples": ["4G", "2048M"]}


@_scalar.register
def _(field: fields.RandomDuration) -> Definition:
    length = {"type": "string", "pattern": LENGTH}

    def pair(second: Definition) -> Definition:
        return {"type": "array", "prefixItems": [length, second], "minItems": 2, "maxItems": 2}

    kinds = {"uniform": pair(length), "normal": pair(length), "lognormal": pair({})}
    distributions = {"type": "object", "properties": kinds, "additionalProperties": False, "minProperties": 1}
    return {"anyOf": [length, {**distributions, "maxProperties": 1}], "examples": ["20s"]}


@_scalar.register
def _(field: fields.Metadata) -> Definition:
    return {"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}}


@_scalar.register
def _(field: fields.TextList) -> Definition:
    return {"type": "array", "items": {"type": NUMBER_LIKE}}


@_scalar.register
def _(field: fields.Switch) -> Definition:
    return {"const": True}


@_scalar.register
def _(field: fields.SwitchOrDuration) -> Definition:
    return {"anyOf": [{"const": True}, {"type": "string", "pattern": LENGTH}]}


@_scalar.register
def _(field: fields.TextOrTrue) -> Definition:
    return {"anyOf": [{"const": True}, {"type": "string", "minLength": 1}]}


@_scalar.register
def _(field: fields.Percentage) -> Definition:
    return {"type": "string", "pattern": PERCENT, "examples": ["40%"]}


@_scalar.register
def _(field: fields.Portion) -> Definition:
    return {"type": ["string", "integer"], "pattern": PART, "minimum": 0, "examples": ["40%", 120]}


@_scalar.register
def _(field: fields.JsonValue) -> Definition:
    return {"type": "object"} if field.only_objects else {}


@_scalar.register
def _(field: fields.TextMapping) -> Definition:
    types = [*NUMBER_LIKE, "null"] if field.nullable else NUMBER_LIKE
    return {"type": "object", "additionalProperties": {"type": types}}


@_scalar.register
def _(field: fields.ResponseDelay) -> Definition:
    wall = {"type": "string", "pattern": LENGTH}
    shape = {"type": "object", "properties": {"wall": wall}, "required": ["wall"], "additionalProperties": False}
    return {"anyOf": [_scalar(fields.RandomDuration()), shape]}


@_scalar.register
def _(field: fields.CountRange) -> Definition:
    return {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": r"^\s*\d+(-\d+)?\s*$"}]}


@_scalar.register
def _(field: fields.ItemSelector) -> Definition:
    return {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "object", "minProperties": 1}]}


@_scalar.register
def _(field: fields.Words) -> Definition:
    return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}


@_scalar.register
def _(field: base.Dict) -> Definition:
    return {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}}
