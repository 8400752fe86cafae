"""The base of every section of a scenario: keys that it does not know are refused, and the nearest are named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_dump, pre_load, validates_schema

from mockanka.scenario.source import nearest


class Many(fields.List[Any]):
    """A list of things."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": "must be a list"}  # type: ignore[misc]


class Strict(Schema):
    """Refuses keys it does not know and names the nearest it knows; leaves out on writing what has no value."""

    class Meta:
        unknown = EXCLUDE

    text_means: ClassVar[str | None] = None
    """The key that a bare text stands for, where one may."""

    @pre_load
    def _refuse_other_shapes(self, data: Any, **kwargs: Any) -> Any:
        if isinstance(data, str) and self.text_means:
            return {self.text_means: data}
        if not isinstance(data, Mapping):
            raise ValidationError("must be keys with values")
        return data

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _refuse_unknown_keys(self, data: Any, original: Any, **kwargs: Any) -> None:
        known = [field.data_key or name for name, field in self.fields.items()]
        keys = original if isinstance(original, Mapping) else ()
        unknown = {str(key): [f"unknown key, {nearest(str(key), known)}"] for key in keys if key not in known}
        if unknown:
            raise ValidationError(unknown)

    @post_dump
    def _leave_out_nothing(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        return {key: value for key, value in data.items() if value is not None and value not in ([], {})}
