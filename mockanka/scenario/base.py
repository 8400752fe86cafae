"""Sections: typed dataclasses that declare the keys of a scenario, how each is read, and how it is dumped.

A key is declared once, in its section. A key that has the name of a field of the section's record sets that field when
a scenario is loaded and shows it when a controller is dumped; what differs from that is declared with the key.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from operator import attrgetter
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar, dataclass_transform, get_args

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_dump, post_load, pre_load, validates_schema

from mockanka.scenario.source import nearest

C = TypeVar("C")
R = TypeVar("R")
_KEY = "key"


class Origin(Enum):
    """Where a scenario comes from."""

    AUTHORED = "authored"
    """Written by hand: what is named is brought into the state that it is said to be in."""
    SNAPSHOT = "snapshot"
    """Read from a controller by `mockanka snapshot`: taken as it was observed, even if no operations lead there."""
    DUMP = "dump"
    """Written by mockanka: complete, so that nothing is begun that is not written."""


class StrictSchema(Schema):
    """Refuses keys that it does not know, and names the nearest one that it knows."""

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
        keys = original if isinstance(original, Mapping) else ()
        unknown = [key for key in keys if key not in self._known_keys]
        if unknown:
            known = list(self._known_keys)
            raise ValidationError({str(key): [f"unknown key, {nearest(str(key), known)}"] for key in unknown})

    @property
    def _known_keys(self) -> Collection[str]:
        known: dict[str, None] | None = self.__dict__.get("_keys")
        if known is None:
            known = self.__dict__["_keys"] = {field.data_key or name: None for name, field in self.fields.items()}
        return known


class SectionSchema(StrictSchema):
    """The marshmallow schema of a section: reads its keys into an instance of it, and writes one out."""

    section: ClassVar[type[Section[Any]]]

    @post_load
    def _make_section(self, data: dict[str, Any], **kwargs: Any) -> Section[Any]:
        return self.section(**data)

    @post_dump
    def _leave_out_nothing(self, data: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        always = self.section.layout().always
        return {
            key: value
            for key, value in data.items()
            if value is not None and ((value != [] and value != {}) or key in always)
        }

    def get_attribute(self, obj: object, attr: str, default: Any) -> Any:
        return getattr(obj, attr)


class CheckedSchema(SectionSchema):
    """The schema of a section that has rules of its own for its keys."""

    @validates_schema(skip_on_field_errors=True)
    def _check(self, data: dict[str, Any], **kwargs: Any) -> None:
        self.section(**data).check()


class ListOf(fields.List[Any]):
    """A list of sections, or of values."""

    default_error_messages: ClassVar[dict[str, Any]] = {"invalid": "must be a list"}  # type: ignore[misc]

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return tuple(super()._deserialize(value, *args, **kwargs))


@dataclass(frozen=True)
class KeySpec:
    """How a key is read and dumped; see ``key``."""

    field: fields.Field[Any]
    source: str | None
    dump: Callable[[Any], Any] | None
    always: bool
    dumped: bool
    loaded: bool
    origins: Collection[Origin]


EVERYWHERE = frozenset(Origin)
ONLY_DUMPS = frozenset({Origin.DUMP})
NOT_AUTHORED = frozenset({Origin.DUMP, Origin.SNAPSHOT})


def key(
    field: fields.Field[Any],
    *,
    default: Any = None,
    source: str | None = None,
    dump: Callable[[Any], Any] | None = None,
    always: bool = False,
    dumped: bool = True,
    loaded: bool = True,
    origins: Collection[Origin] = EVERYWHERE,
) -> Any:
    """Declare a key of a section.

    ``source`` is the field of the record that the key sets and shows; by default the one of its own name. ``part.name``
    is a field of a part of the record. ``dump`` computes from the record what is dumped, and leaves loading to the
    loader unless there is a ``source``. None, an empty list and the record's default are left out of dumps; ``always``
    keeps the last two. ``dumped=False`` is a key that the record does not show, ``loaded=False`` one that the loader
    handles. ``origins`` are the scenarios that may have it.
    """
    declared = KeySpec(field, source, dump, always, dumped, loaded, origins)
    if field.required:
        return dataclasses.field(metadata={_KEY: declared})
    return dataclasses.field(default=default, metadata={_KEY: declared})


def nested(section: type[Section[Any]], **options: Any) -> fields.Field[Any]:
    """Return the field for one section below another."""
    return fields.Nested(section.layout().schema_class, **options)


def list_of(section: type[Section[Any]]) -> fields.Field[Any]:
    """Return the field for a list of sections below another."""
    return ListOf(fields.Nested(section.layout().schema_class))


@dataclass_transform(kw_only_default=True, frozen_default=True)
def section(section_class: type[C]) -> type[C]:
    """Make a class with keys a section: a dataclass that takes its keys by name. To type checkers it is frozen."""
    # Frozen at run time too, and with its own equality and representation, thirty sections take 15 ms to import.
    return dataclass(kw_only=True, repr=False, eq=False)(section_class)


@section
class Section(Generic[R]):
    """Base of the sections. A key that is not given is None, unless its declaration has another default.

    ``Section[R]`` describes records of type ``R``, ``Section[None]`` none; ``parts`` are records inside of the record
    whose fields have keys as well.
    """

    record_type: ClassVar[type[Any]] = type(None)
    parts: ClassVar[Mapping[str, type[Any]]] = {}
    text_means: ClassVar[str | None] = None
    """The key that a bare text stands for, where one may."""
    definition: ClassVar[str] = ""
    """The section's name in the JSON Schema."""

    def __init_subclass__(cls, parts: Mapping[str, type[Any]] | None = None, definition: str = "") -> None:
        (cls.record_type,) = get_args(cls.__orig_bases__[0])  # type: ignore[attr-defined]
        cls.parts = parts or {}
        cls.definition = definition or cls.__name__.removesuffix("Section")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.given() == other.given()

    def __hash__(self) -> int:
        return hash(tuple(self.given()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.given().items())})"

    @classmethod
    def layout(cls) -> Layout:
        """Return how the section is read and dumped. Raises TypeError if a key has no home in the record."""
        layout: Layout | None = vars(cls).get("_layout")
        if layout is None:
            layout = Layout(cls)
            cls._layout = layout  # type: ignore[attr-defined]
        return layout

    @classmethod
    def load(cls, data: object) -> Self:
        """Read plain data. Raises marshmallow's ValidationError with the problems by key."""
        section: Self = cls.layout().schema.load(data)  # type: ignore[arg-type]
        return section

    @classmethod
    def describe(cls, record: R, **more: Any) -> Self:
        """Return the section that describes a record, without what is as it is by default; ``more`` are other keys."""
        return cls(**{name: value for name, get in cls.layout().getters if (value := get(record)) is not None}, **more)

    def dump(self) -> dict[str, Any]:
        """Return the section as plain data: texts, numbers, lists and dictionaries."""
        plain: dict[str, Any] = self.layout().schema.dump(self)
        return plain

    def check(self) -> None:
        """Raise ValidationError if the keys do not go together."""

    def given(self) -> dict[str, Any]:
        """Return the keys that have a value, by name."""
        return {name: value for name in self.layout().keys if (value := getattr(self, name)) is not None}

    def values(self, part: str = "") -> dict[str, Any]:
        """Return the fields of the record, or of a part of it, that the section sets."""
        return {
            attribute: _plain(value)
            for name, attribute in self.layout().setters.get(part, ())
            if (value := getattr(self, name)) is not None
        }

    def make(self) -> R:
        """Return the record that the section describes."""
        record: R = self.record_type(**self.values())
        return record


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        return value.make()
    if type(value) is tuple:  # not a named one
        return tuple(_plain(item) for item in value)
    return dict(value) if isinstance(value, dict) else value  # controllers of one scenario share nothing


class Layout:
    """Data derived from the declarations of a section, once for each class."""

    def __init__(self, section: type[Section[Any]]) -> None:
        self.section = section
        self.keys: dict[str, KeySpec] = {field.name: field.metadata[_KEY] for field in dataclasses.fields(section)}
        """The declared keys by the names of the section's fields, in their order."""
        self.always = {declared.field.data_key or name for name, declared in self.keys.items() if declared.always}
        self.homes = dict(self._find_homes())
        self.setters: dict[str, list[tuple[str, str]]] = {}
        """The keys that set a field when they are loaded, each with that field, by the part that has it."""
        for name, home in self.homes.items():
            declared = self.keys[name]
            if declared.loaded and (declared.source is not None or declared.dump is None):
                self.setters.setdefault(home.part, []).append((name, home.attribute))
        self.schema_class = self._derive_schema()

    @cached_property
    def schema(self) -> SectionSchema:
        """The schema that reads and writes the section."""
        return self.schema_class()

    @cached_property
    def getters(self) -> list[tuple[str, Callable[[Any], Any]]]:
        """The keys that are dumped, each with a function that gets its value from the record; None is left out."""
        if self.section.record_type is type(None):
            return []
        return [(name, self._getter(name, declared)) for name, declared in self.keys.items() if declared.dumped]

    def _find_homes(self) -> Iterator[tuple[str, Home]]:
        record_type = self.section.record_type
        known = {"": _record_fields(record_type)}
        known |= {part: _record_fields(part_type) for part, part_type in self.section.parts.items()}
        for name, declared in self.keys.items():
            part, _, attribute = (declared.source or name).rpartition(".")
            if declared.source is None:
                part = next((part for part, fields_of_part in known.items() if name in fields_of_part), "")
            if attribute in known[part]:
                yield name, Home(part, attribute, known[part][attribute])
            elif record_type is not type(None) and (declared.source or (declared.dumped and not declared.dump)):
                raise TypeError(f"{self.section.__name__}.{name}: {record_type.__name__} has no field for this key")

    def _derive_schema(self) -> type[SectionSchema]:
        section = self.section
        base = SectionSchema if section.check is Section.check else CheckedSchema
        attributes = {"section": section, "text_means": section.text_means, "__doc__": section.__doc__}
        body = {name: declared.field for name, declared in self.keys.items()}
        derived: type[SectionSchema] = type(section.definition, (base,), {**body, **attributes})
        return derived

    def _getter(self, name: str, declared: KeySpec) -> Callable[[Any], Any]:
        default: Any = ...
        if declared.dump is not None:
            get = declared.dump
        else:
            home = self.homes[name]
            get = _part_getter(home.part, home.attribute) if home.part else attrgetter(home.attribute)
            default = ... if declared.always else home.default
        field = declared.field
        if isinstance(field, fields.List):
            return _list_getter(get, default, _inner_section(field.inner))
        return _getter(get, default, _inner_section(field))


class Home(NamedTuple):
    """The field of a record that a key stands for: the part that has it, its name, and its default."""

    part: str
    attribute: str
    default: Any
    """Ellipsis if there is none."""


def _record_fields(record: type[Any]) -> Mapping[str, Any]:
    """The fields of a dataclass or a named tuple with their defaults; Ellipsis stands for none."""
    if not dataclasses.is_dataclass(record):
        defaults = getattr(record, "_field_defaults", {})
        return {name: defaults.get(name, ...) for name in getattr(record, "_fields", ())}
    return {field.name: _default(field) for field in dataclasses.fields(record)}


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return ... if field.default is dataclasses.MISSING else field.default


def _part_getter(part: str, attribute: str) -> Callable[[Any], Any]:
    """A function that gets a field of a part of a record, or None if the record has no such part."""
    get_part = attrgetter(part)
    return lambda record: None if (owner := get_part(record)) is None else getattr(owner, attribute)


def _getter(get: Callable[[Any], Any], default: Any, inner: type[Section[Any]] | None) -> Callable[[Any], Any]:
    def get_value(record: Any) -> Any:
        value = get(record)
        if value is None or value == default:
            return None
        return value if inner is None else _described(inner, value)

    return get_value


def _list_getter(get: Callable[[Any], Any], default: Any, inner: type[Section[Any]] | None) -> Callable[[Any], Any]:
    def get_list(record: Any) -> Any:
        values = get(record)
        if values is None or values == default:
            return None
        return values if inner is None else [_described(inner, value) for value in values]

    return get_list


def _described(section: type[Section[Any]], record: Any) -> Section[Any]:
    return record if isinstance(record, Section) else section.describe(record)


def _inner_section(field: fields.Field[Any]) -> type[Section[Any]] | None:
    schema = field.schema if isinstance(field, fields.Nested) else None
    return schema.section if isinstance(schema, SectionSchema) else None
