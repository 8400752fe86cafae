"""YAML and JSON into plain data: lines, keys that stand twice, merges, loops, and what is no YAML at all."""

import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mockanka.scenario import Scenario, ScenarioError
from mockanka.scenario.sections import NodeSection, ScenarioSection
from mockanka.scenario.source import nearest


def problems_of(text: str) -> list[str]:
    with pytest.raises(ScenarioError) as raised:
        Scenario.from_yaml(text, "w.yaml")
    return raised.value.problems


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "{}", "\ufeff{}"])
def test_nothing_is_a_scenario(text: str) -> None:
    """Every key is optional, so an empty file is a scenario."""
    assert ScenarioSection() == Scenario.from_yaml(text).section


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "5", "null"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    """A list or a word is no scenario."""
    assert ["w.yaml:1: must be keys with values"] == problems_of(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("seed: 1\nclock: {}\nseed: 2\n", "w.yaml:1: seed: stands here twice"),
        ("nodes:\n  - name: a\n    name: b\n", "w.yaml:2: nodes[0].name: stands here twice"),
        ("nodes:\n\t- name: a\n", "w.yaml:2: not valid YAML: found character '\\t' that cannot start any token"),
        (
            "clock:\n  mode: real\n\tspeed: 3\n",
            "w.yaml:3: not valid YAML: found character '\\t' that cannot start any token",
        ),
        ("nodes: [", "w.yaml:1: not valid YAML: expected the node content, but found '<stream end>'"),
        ("seed: 1\n---\nseed: 2\n", "w.yaml:2: not valid YAML: but found another document"),
        ("seed: 1\nnodes: *no\n", "w.yaml:2: not valid YAML: found undefined alias 'no'"),
        ("nodes: &n\n  - *n\n", "w.yaml:1: nodes[0]: is nested in itself, or too deep"),
        ("nodes: [&n {name: x, usb: [*n]}]", "w.yaml:1: nodes[0].usb[0]: is nested in itself, or too deep"),
        ("\n? [a]\n: 3\n", "w.yaml:2: line 2: a key must be a word"),
    ],
)
def test_broken_yaml_is_refused_with_its_line(text: str, problem: str) -> None:
    """A mistake in YAML is named with its line."""
    assert [problem] == problems_of(text)


def test_yaml_that_asks_for_python_objects_is_refused() -> None:
    """A tag that would build an object builds none."""
    (problem,) = problems_of("seed: 1\nnodes: !!python/object/apply:os.getcwd now\n")

    assert problem.startswith("w.yaml:2: ")


@pytest.mark.parametrize(
    "text", ["seed: 1\nclock: {start: 2024-13-01T00:00:00Z}\n", "seed: 1\nnodes: [{name: \x00}]\n"]
)
def test_a_value_that_yaml_itself_chokes_on_is_refused_with_its_line(text: str) -> None:
    """A month that is none, or a character no text may have, is refused with its line as everything else is."""
    (problem,) = problems_of(text)

    assert problem.startswith("w.yaml:2: ")
    assert "\n" not in problem


@pytest.mark.parametrize("depth", [60, 300, 3000])
def test_what_is_nested_too_deep_is_refused(depth: int) -> None:
    """Any depth of brackets ends in a refusal."""
    (problem,) = problems_of("nodes: " + "[" * depth + "]" * depth)

    assert problem.startswith("w.yaml")


@pytest.mark.parametrize("depth", [60, 3000, 100_000])
def test_json_that_is_nested_too_deep_is_refused(depth: int) -> None:
    """Any depth of brackets ends in a refusal, in JSON as well."""
    with pytest.raises(ScenarioError, match=r"^w\.json"):
        Scenario.from_json('{"nodes": ' + "[" * depth + "]" * depth + "}", "w.json")


def test_merge_keys_work() -> None:
    """``<<`` brings in the keys of another mapping, and what stands beside it beats them."""
    text = "nodes:\n  - &a {name: a, capacity: 7, ip: 10.0.0.1}\n  - {<<: *a, name: b}\n"

    assert NodeSection(name="b", capacity=7, ip="10.0.0.1") == Scenario.from_yaml(text).section.nodes[1]


def test_an_alias_of_a_list_with_merges_reads_as_the_list_does() -> None:
    """A list that uses merge keys may be used again under an alias: no key stands twice by that."""
    text = """
    templates:
      - name: a
        versions: &versions
          - &first {tag: one, size: 1GB}
          - {<<: *first, tag: two}
      - {name: b, versions: *versions}
    """
    first, second = Scenario.from_yaml(textwrap.dedent(text)).section.templates

    assert first.versions == second.versions


def test_a_problem_of_a_value_is_at_the_line_of_its_key() -> None:
    """It is not at the line below, on which the value begins."""
    (problem,) = problems_of("seed: 1\nnodes:\n  name: x\n")

    assert problem.startswith("w.yaml:2: nodes: ")


def test_a_mistake_in_an_aliased_part_is_named() -> None:
    """A mistake in a part with an alias is named with a line of the file."""
    text = "nodes:\n  - &a {name: a, capacty: 7}\n  - *a\n"

    assert [
        "w.yaml:2: nodes[0].capacty: unknown key, did you mean 'capacity'?",
        "w.yaml:2: nodes[1].capacty: unknown key, did you mean 'capacity'?",
    ] == problems_of(text)


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))


def run_bounded(text: str, folder: Path) -> tuple[int, str]:
    """How loading the scenario ends, in a process with 1 GiB of memory and 10 seconds."""
    file = folder / "bomb.yaml"
    file.write_text(text)
    command = [sys.executable, "-m", "mockanka", "scenario", "validate", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, preexec_fn=_limit_memory)
    return done.returncode, done.stderr


@pytest.mark.parametrize("opening", ["[", "{", "- ", "? ", "[{a: "])
def test_deep_nesting_ends_soon_with_a_clear_error(opening: str) -> None:
    """A parser that goes down first, and counts later, would take seconds."""
    assert ["w.yaml: is nested too deep"] == problems_of(opening * 100_000)


def test_a_large_broken_text_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second reading names what is wrong, which a long text pays with a shorter message."""
    monkeypatch.setattr("mockanka.scenario.source.MAX_REREAD", 20)

    assert ["w.yaml:1: not valid YAML: found undefined alias 'no'"] == problems_of("nodes: *no")
    assert ["w.yaml:1: not valid YAML: found undefined alias"] == problems_of("nodes: *no" + 20 * " ")


def test_aliases_that_multiply_end_soon_with_a_clear_error(tmp_path: Path) -> None:
    """Aliases of aliases that stand for a billion words are refused, in little time and memory."""
    lines = ["a0: &a0 [" + ", ".join(["ha"] * 10) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 9)]
    code, said = run_bounded("\n".join(lines) + "\n", tmp_path)

    assert 2 == code
    assert "bomb.yaml" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("name", ["a{n:99999999999}", "a{n!r:>99999999999}"])
def test_a_name_that_would_fill_the_memory_is_refused(name: str, tmp_path: Path) -> None:
    """The place for a node's number takes {n} and {n:02}, and no width beyond all measure."""
    code, said = run_bounded(f'nodes: [{{name: "{name}", count: 2}}]\n', tmp_path)

    assert (2, True, False) == (code, "bomb.yaml:1: nodes[0].name: " in said, "Traceback" in said)


def test_json_with_a_mistake_names_the_key() -> None:
    """A scenario in JSON is checked as one in YAML is; it has no lines that would help."""
    with pytest.raises(ScenarioError) as raised:
        Scenario.from_json('{"nodes": [{"name": "a", "capacty": 3}]}', "w.json")

    assert ["w.json: nodes[0].capacty: unknown key, did you mean 'capacity'?"] == raised.value.problems


@pytest.mark.parametrize("text", ["", "{", "[1,", b"\xff\xfe\xfd", '{"seed": ' + "9" * 5000 + "}"])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    """Broken JSON is refused by name."""
    with pytest.raises(ScenarioError, match=r"^w\.json: not valid JSON: "):
        Scenario.from_json(text, "w.json")


def test_a_file_that_is_not_utf_8_is_refused_by_name(tmp_path: Path) -> None:
    """A scenario in another encoding is refused by the name of its file."""
    file = tmp_path / "latin.yaml"
    file.write_bytes("nodes: [{name: Büro}]".encode("latin-1"))
    with pytest.raises(ScenarioError) as raised:
        Scenario.find(str(file))

    assert str(raised.value).startswith(f"{file}: cannot be read: 'utf-8' codec can't decode byte 0xfc")


def test_a_folder_is_no_scenario(tmp_path: Path) -> None:
    """A path that exists but cannot be read is refused by name."""
    with pytest.raises(ScenarioError) as raised:
        Scenario.find(str(tmp_path))

    assert str(raised.value).startswith(f"{tmp_path}: cannot be read: ")


def test_an_unknown_scenario_names_the_nearest_that_ships() -> None:
    """A name that is neither a file nor ships is refused with the one that was probably meant."""
    with pytest.raises(ScenarioError) as raised:
        Scenario.find("cold-cahe")

    assert "cold-cahe: there is no such file, and no shipped scenario: did you mean 'cold-cache'?" == str(raised.value)


@pytest.mark.parametrize("text", ["!!python/object:os.system {}", "nodes: !mine []", "seed: !!binary aGk="])
def test_a_tag_that_means_an_object_is_refused(text: str) -> None:
    """A scenario is made of texts, numbers, lists and keys, of nothing that YAML would build."""
    with pytest.raises(ScenarioError, match="is no kind of value here"):
        Scenario.from_yaml(text, "w.yaml")


def test_a_blank_known_word_is_shown_as_quotes() -> None:
    """The state of a node may be blank; a list of states shows it as one."""
    assert "known are '', Active, Offline" == nearest("xyz", ["Offline", "", "Active"])


def test_a_message_about_a_large_value_is_short() -> None:
    """The beginning of the value and the end of the message, which says what would be right, are kept."""
    (text,) = problems_of(f"clock: {{start: {'x' * 1_000_000}}}")

    assert 1100 > len(text)
    assert text.startswith("w.yaml:1: clock.start: 'xxx")
    assert "write it like" in text[-200:]


def test_a_message_about_a_large_key_is_short() -> None:
    """So are keys that nobody knows, and the control characters in them are escaped."""
    (text,) = problems_of(f'? "\\x1b{"x" * 100_000}"\n: 1\n')

    assert 2200 > len(text)
    assert text.startswith("w.yaml:1: \\x1bxxx")


def test_of_many_problems_the_first_are_named() -> None:
    """Their number is told; nobody reads a thousand lines."""
    problems = problems_of("\n".join(["nodes:", *["- {name: a, capacity: x}"] * 1000]))

    assert 101 == len(problems)
    assert problems[0].startswith("w.yaml:2: ")
    assert "w.yaml: and 900 more problems" == problems[-1]


def test_of_many_known_words_some_are_named() -> None:
    """The others are counted."""
    text = nearest("xyz", [f"name-{number:04}" for number in range(1000)])

    assert text.startswith("known are name-0000, name-0001, ")
    assert text.endswith("name-0039 and 960 more")


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario.from_yaml('nodes: [{name: "a\\ud800", usb: [{name: "\\uDFFF"}]}]'),
        Scenario.from_json('{"nodes": [{"name": "a\\ud800", "usb": [{"name": "\\uDFFF"}]}]}'),
        Scenario.from_json(b'{"nodes": [{"name": "a\xed\xa0\x80", "usb": [{"name": "\\uDFFF"}]}]}'),
        Scenario.from_data({"nodes": [{"name": "a\ud800", "usb": [{"name": "\udfff"}]}]}),
    ],
    ids=["yaml", "json", "bytes", "data"],
)
def test_halves_of_surrogate_pairs_become_the_replacement_character(scenario: Scenario) -> None:
    """They are replaced where a scenario is read, so that what is sent and what is dumped are the same."""
    (node,) = scenario.controller().nodes.values()

    assert ("a\ufffd", "\ufffd") == (node.name, node.usb[0].name)
