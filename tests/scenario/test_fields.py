"""Each kind of scalar: typed by the schema, whatever YAML would have made of it."""

from collections.abc import Callable

import pytest

from mockanka.core.durations import Fixed, Lognormal, Normal, Uniform
from mockanka.core.release import Release
from mockanka.scenario import Scenario, ScenarioError
from mockanka.scenario.fields import Percentage
from mockanka.scenario.sections import ScenarioSection
from mockanka.units import SECOND
from tests.controllers import controller_of


def section_of(text: str) -> ScenarioSection:
    return Scenario.from_yaml(text, "w.yaml").section


def problems_of(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as raised:
        Scenario.from_yaml(text, "w.yaml")
    return raised.value.problems


@pytest.mark.parametrize(
    ("written", "release"),
    [("1.50", (1, 50, 0)), ('"1.50.1"', (1, 50, 1)), ("1.10", (1, 10, 0)), ("1.8", (1, 8, 0)), ("1.24.0", (1, 24, 0))],
)
def test_a_release_is_no_number(written: str, release: tuple[int, int, int]) -> None:
    """``release: 1.50`` is release 1.50 and not the number 1.5."""
    assert Release(*release) == controller_of(f"controller: {{release: {written}}}").release


@pytest.mark.parametrize(
    "tag",
    ["1.50", "15.0", "0x10", "1e3", "yes", "on", "true", "010", "1_000", "12:30", "2024-01-01", ".5", "0o7", "!"],
)
def test_a_text_stays_as_it_was_written(tag: str) -> None:
    """A tag that YAML takes for a number, a date or a truth is the text that stands there."""
    written = '"!"' if tag == "!" else tag

    assert tag == section_of(f"templates: [{{name: a, versions: [{{tag: {written}}}]}}]").templates[0].versions[0].tag


@pytest.mark.parametrize("tag", ["2024-02-30", "2024-13-45", "0b_", "0x_", "=", "9" * 5000])
def test_a_text_that_only_looks_like_a_number_or_date_is_text_too(tag: str) -> None:
    """A tag that has the look of a date or number of YAML, but is none, is as good a text as any."""
    assert tag == section_of(f"templates: [{{name: a, versions: [{{tag: {tag}}}]}}]").templates[0].versions[0].tag


@pytest.mark.parametrize(("written", "number"), [("7", 7), ('"7"', 7), ("-7", -7), (" 0 ", 0), ("010", 10)])
def test_a_whole_number_is_read_in_decimal(written: str, number: int) -> None:
    """Whole numbers are decimal, quoted or not, and with leading zeros too."""
    assert number == section_of(f"seed: {written}").seed


@pytest.mark.parametrize(
    "written", ["x", "1.5", "1e3", "0x10", "1_000", "--1", "'-'", "true", "٣", "[1]", "{a: 1}", '""']
)
def test_what_is_no_whole_number_is_refused(written: str) -> None:
    """A fraction, a hexadecimal, a truth, a list are no whole numbers."""
    (problem,) = problems_of(f"seed: {written}")

    assert problem.startswith("w.yaml:1: seed: ")
    assert problem.endswith("is not a whole number")


@pytest.mark.parametrize(("written", "speed"), [("60", 60.0), ("0.5", 0.5), ("1e3", 1000.0), ('"2"', 2.0)])
def test_a_speed_is_a_number_above_zero(written: str, speed: float) -> None:
    """A speed is a number above zero, whole or not."""
    assert speed == section_of(f"clock: {{speed: {written}}}").clock.speed


@pytest.mark.parametrize("written", ["0", "-1", "nan", "inf", "-inf", ".nan", ".inf", "fast", "[1]", "1e999", "-0.0"])
def test_a_speed_that_no_clock_can_run_at_is_refused(written: str) -> None:
    """Zero, less, infinitely much and what is no number are refused."""
    (problem,) = problems_of(f"clock: {{speed: {written}}}")

    assert problem.startswith("w.yaml:1: clock.speed: ")
    assert problem.endswith(("is not above zero", "is not a number", "is more than 1e+09"))


@pytest.mark.parametrize("written", ["true", "True", "yes", "on", "YES"])
def test_truth_is_written_in_several_ways(written: str) -> None:
    """true, yes and on are true."""
    assert section_of(f"nodes: [{{name: n, central_logging: {written}}}]").nodes[0].central_logging is True


@pytest.mark.parametrize("written", ["false", "no", "off", '"False"'])
def test_falsehood_is_written_in_several_ways(written: str) -> None:
    """false, no and off are false."""
    assert section_of(f"nodes: [{{name: n, central_logging: {written}}}]").nodes[0].central_logging is False


@pytest.mark.parametrize("written", ["perhaps", "1", "0", "[]", '""'])
def test_what_is_neither_true_nor_false_is_refused(written: str) -> None:
    """Numbers and other words are no truth."""
    (problem,) = problems_of(f"nodes: [{{name: n, central_logging: {written}}}]")

    assert problem.startswith("w.yaml:1: nodes[0].central_logging: ")
    assert problem.endswith("is neither true nor false")


@pytest.mark.parametrize(
    ("written", "duration"),
    [
        ("20s", Fixed(20 * SECOND)),
        ("1m30s", Fixed(90 * SECOND)),
        ("0", Fixed(0)),
        ("{uniform: [10s, 30s]}", Uniform(10 * SECOND, 30 * SECOND)),
        ("{uniform: [5s, 5s]}", Uniform(5 * SECOND, 5 * SECOND)),
        ("{normal: [20s, 4s]}", Normal(20 * SECOND, 4 * SECOND)),
        ("{lognormal: [20s, 0.3]}", Lognormal(20 * SECOND, 0.3)),
        ("{lognormal: [20s, 0]}", Lognormal(20 * SECOND, 0.0)),
    ],
)
def test_a_duration_is_fixed_or_a_distribution(written: str, duration: object) -> None:
    """A timing is one length, or a distribution with its two parameters."""
    assert duration == section_of(f"timings: {{boot: {written}}}").timings.boot


RIGHT = "write it like 20s, {uniform: [10s, 30s]}, {normal: [20s, 4s]} or {lognormal: [20s, 0.3]}"


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("20", "'20' is no duration: write it like 20s, 1m30s or 250ms"),
        ("-3s", "'-3s' is negative: time does not go back"),
        ("soon", "'soon' is no duration: write it like 20s, 1m30s or 250ms"),
        ("10000000000h", "'10000000000h' is longer than a thousand years"),
        ("{}", "{} is no duration: " + RIGHT),
        ("[3s, 4s]", "['3s', '4s'] is no duration: " + RIGHT),
        ("{uniform: 3s}", "uniform takes two parameters: " + RIGHT),
        ("{uniform: [3s]}", "uniform takes two parameters: " + RIGHT),
        ("{uniform: [1s, 2s, 3s]}", "uniform takes two parameters: " + RIGHT),
        ("{uniform: [5s, 3s]}", "uniform: 5s is longer than 3s"),
        ("{uniform: [1s, [2s]]}", "['2s'] has no unit; write it as text, like 20s"),
        ("{unifrm: [1s, 2s]}", "'unifrm' is no distribution: did you mean 'uniform'?"),
        ("{normal: [5s, -1s]}", "'-1s' is negative: time does not go back"),
        ("{lognormal: [5s, 9]}", "9 is more than 5"),
        ("{lognormal: [5s, nan]}", "nan is not zero or more"),
        ("{lognormal: [5s, -0.1]}", "-0.1 is not zero or more"),
        ("{lognormal: [5s, 1s]}", "'1s' is not a number"),
    ],
)
def test_a_nonsense_duration_is_refused(written: str, text: str) -> None:
    """A refused duration or distribution says what would be right."""
    assert [f"w.yaml:1: timings.boot: {text}"] == problems_of(f"timings: {{boot: {written}}}")


@pytest.mark.parametrize(("written", "megabytes"), [("4G", 4096), ("2048M", 2048), ("8", 8192), ("4g", 4096)])
def test_ram_is_gigabytes_unless_it_says_otherwise(written: str, megabytes: int) -> None:
    """A template's RAM is a number of GB, or has its unit."""
    assert megabytes == section_of(f"templates: [{{name: a, ram: {written}}}]").templates[0].ram


@pytest.mark.parametrize("written", ["0", "4T", "-4G", "1.5G", "G", "lots", "99999999999999999999G", "true"])
def test_what_is_no_amount_of_ram_is_refused(written: str) -> None:
    """RAM is a whole number above zero of G or M."""
    (problem,) = problems_of(f"templates: [{{name: a, ram: {written}}}]")

    assert problem.startswith("w.yaml:1: templates[0].ram: ")
    assert problem.endswith("is no amount of RAM: write it like 4G or 2048M")


def test_metadata_keeps_the_types_of_yaml() -> None:
    """Metadata has texts, whole numbers and truths; a fraction or a date is text, as the wire knows no others."""
    given = "metadata: {text: hello, count: 3, quoted: '3', yes: true, half: 0.5, day: 2024-01-01}"
    text = f"templates: [{{name: a, versions: [{{tag: t}}]}}]\ninstances: [{{template: a, {given}}}]"
    expected = {"text": "hello", "count": 3, "quoted": "3", "yes": True, "half": "0.5", "day": "2024-01-01"}

    assert expected == section_of(text).instances[0].metadata


@pytest.mark.parametrize("metadata", ["[a]", "a", "{k: [1]}", "{k: }", "{k: {a: 1}}"])
def test_metadata_that_is_not_flat_is_refused(metadata: str) -> None:
    """Metadata is keys with plain values and nothing deeper."""
    (problem,) = problems_of(f"instances: [{{template: a, metadata: {metadata}}}]")

    assert problem.startswith("w.yaml:1: instances[0].metadata: ")


@pytest.mark.parametrize("written", ["0", "0Gbit/s", "0.1bit/s", "10GB", "fast"])
def test_a_bandwidth_of_nothing_or_without_unit_is_refused(written: str) -> None:
    """A bandwidth has a unit and is more than nothing."""
    (problem,) = problems_of(f"timings: {{pull_bandwidth: {written}}}")

    assert problem.startswith("w.yaml:1: timings.pull_bandwidth: ")


def test_a_node_that_reports_without_pause_is_refused() -> None:
    """A heartbeat is longer than nothing."""
    assert ["w.yaml:1: timings.heartbeat: must be longer than zero"] == problems_of("timings: {heartbeat: 0s}")


@pytest.mark.parametrize("written", ["0%", "12.3%", "33.3%", "57.7%", "100%"])
def test_a_percentage_is_dumped_as_it_was_written(written: str) -> None:
    """It is divided in decimal, so that no digits are added."""
    assert written == Percentage.written(Percentage().read(written))


@pytest.mark.parametrize(("digits", "is_taken"), [("9" * 29, True), ("1" + "0" * 29, False), ("1" * 5000, False)])
@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("read", [Scenario.from_yaml, Scenario.from_json])
def test_a_whole_number_has_the_same_limit_in_yaml_and_json(
    read: Callable[[str], Scenario], sign: str, digits: str, is_taken: bool
) -> None:
    """JSON takes no number that YAML refuses, so that a dump is read as either."""
    try:
        read(f'{{"controller": {{"registry_other": {sign}{digits}}}}}')
    except ScenarioError:
        assert not is_taken
    else:
        assert is_taken
