"""A section declares each key once: how it is read, which field of a record it sets, and how it is dumped."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from marshmallow import ValidationError

from mockanka.scenario.base import Section, key, list_of, nested, section
from mockanka.scenario.fields import FixedDuration, Integer, Text, TextList


@dataclass(frozen=True)
class Wheel:
    size: int
    brand: str = "none"


@dataclass
class Engine:
    power: int = 7


@dataclass
class Car:
    name: str
    wheels: tuple[Wheel, ...] = ()
    doors: int = 4
    top_speed: int = 0
    engine: Engine | None = None
    labels: dict[str, int] = field(default_factory=dict)


@section
class WheelSection(Section[Wheel]):
    size: int = key(Integer(required=True))
    brand: str | None = key(Text())


@section
class CarSection(Section[Car], parts={"engine": Engine}):
    name: str = key(Text(required=True))
    wheels: tuple[WheelSection, ...] | None = key(list_of(WheelSection))
    doors: int | None = key(Integer(), always=True)
    seconds: int | None = key(FixedDuration(), source="top_speed")
    power: int | None = key(Integer())
    size: int | None = key(Integer(), dumped=False)
    summary: str | None = key(Text(), dump=lambda car: f"{car.doors} doors" if car.doors != 4 else None)


CAR = Car("a", (Wheel(3), Wheel(4, "b")), 2, 10**9, Engine(9))
PLAIN = {
    "name": "a",
    "wheels": [{"size": 3}, {"size": 4, "brand": "b"}],
    "doors": 2,
    "seconds": "1s",
    "power": 9,
    "summary": "2 doors",
}


def test_a_record_is_described_by_its_fields() -> None:
    """Keys of the same name, of another name, of a part and computed ones show the record, in their order."""
    assert PLAIN == CarSection.describe(CAR).dump()
    assert list(PLAIN) == list(CarSection.describe(CAR).dump())


def test_defaults_are_left_out() -> None:
    """A default value is not dumped, unless its key says so; a missing part has no keys."""
    assert {"name": "a", "doors": 4} == CarSection.describe(Car("a")).dump()


def test_a_section_sets_the_fields_of_its_record() -> None:
    """A loaded section has the values of the record and of its parts, as their constructors take them."""
    loaded = CarSection.load(PLAIN)

    assert CAR == Car(**loaded.values(), engine=Engine(**loaded.values("engine")))
    assert (Wheel(3), Wheel(4, "b")) == tuple(wheel.make() for wheel in loaded.wheels or ())


def test_a_key_that_is_not_given_is_none() -> None:
    """Sections are equal if they give the same, and show only that."""
    loaded = CarSection.load({"name": "a", "doors": "5"})

    assert (None, {"name": "a", "doors": 5}) == (loaded.seconds, loaded.given())
    assert CarSection(name="a", doors=5) == loaded != CarSection(name="a")
    assert "CarSection(name='a', doors=5)" == repr(loaded)
    assert 1 == len({loaded, CarSection(name="a", doors=5)})


def test_controllers_of_one_scenario_share_nothing() -> None:
    """A mapping is copied each time that a record is made of a section."""

    @section
    class LabelSection(Section[Car]):
        labels: dict[str, int] | None = key(TextList(), dumped=False)

    loaded = LabelSection(labels={"a": 1})

    assert loaded.values() == loaded.values()
    assert loaded.values()["labels"] is not loaded.values()["labels"]


def test_a_key_without_a_field_is_refused() -> None:
    """A key that neither has a field in the record nor says how it is dumped is a mistake in the code."""

    @section
    class MisspeltSection(Section[Car]):
        dors: int | None = key(Integer())

    with pytest.raises(TypeError, match=r"MisspeltSection\.dors: Car has no field for this key"):
        MisspeltSection.layout()


def test_rules_of_a_section_are_checked_when_its_keys_are_right() -> None:
    """A section may refuse keys that do not go together, below another section as well."""

    @section
    class CheckedSection(Section[None]):
        low: int | None = key(Integer())
        high: int | None = key(Integer())

        def check(self) -> None:
            if self.low is not None and self.high is not None and self.low > self.high:
                raise ValidationError({"low": ["is above high"]})

    @section
    class OuterSection(Section[None]):
        limits: CheckedSection | None = key(nested(CheckedSection))

    with pytest.raises(ValidationError) as raised:
        OuterSection.load({"limits": {"low": 3, "high": 2}})

    assert {"limits": {"low": ["is above high"]}} == raised.value.messages
    with pytest.raises(ValidationError) as raised:
        CheckedSection.load({"low": 3, "high": "x", "hihg": 1})
    assert {"high", "hihg"} == set(raised.value.messages_dict)
