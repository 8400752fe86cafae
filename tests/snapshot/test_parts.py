"""What a snapshot is made with: sizes of files out of sums, YAML with comments, and the command."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

import mockanka
from mockanka.cli.main import main
from mockanka.scenario import Scenario
from mockanka.snapshot.commented_yaml import Noted, write
from mockanka.snapshot.file_sizes import Sum, sizes_of
from tests.conftest import examples

FILES = "abcdefgh"
VERSIONS = st.lists(st.sets(st.sampled_from(FILES), min_size=1), min_size=1, max_size=6)


def sums(versions: list[set[str]], true: dict[str, int]) -> list[Sum]:
    """The sums of versions, and of all their files, when files have those sizes."""
    of_all = set().union(*versions)
    return [Sum(frozenset(files), sum(true[file] for file in files)) for files in (*versions, of_all)]


@settings(max_examples=examples(100, 2000))
@given(VERSIONS, st.lists(st.integers(0, 10**12), min_size=8, max_size=8))
def test_sizes_make_every_sum(versions: list[set[str]], true: list[int]) -> None:
    """Whatever files versions share, sizes are found that make the size of each version, and of the template."""
    given_sums = sums(versions, dict(zip(FILES, true, strict=True)))
    found = sizes_of(given_sums)

    assert all(size >= 0 for size in found.values())
    # Where none is found in whole bytes a sum is missed by what does not divide.
    missed = [abs(each.total - sum(found[file] for file in each.files)) for each in given_sums]
    assert max(missed) < len(FILES)


def test_layers_are_told_apart() -> None:
    """A version on top of another has what it adds."""
    found = sizes_of([Sum(frozenset("a"), 20), Sum(frozenset("ab"), 28), Sum(frozenset("abc"), 29)])

    assert {"a": 20, "b": 8, "c": 1} == found


def test_files_that_are_always_together_share_what_they_are() -> None:
    """What cannot be told apart is the same, but for what does not divide."""
    assert {"a": 4, "b": 3, "c": 3} == sizes_of([Sum(frozenset("abc"), 10)])


def test_sums_that_no_sizes_make_are_met_as_far_as_they_go() -> None:
    """A version that is larger than its template has a size all the same."""
    assert {"a": 10} == sizes_of([Sum(frozenset("a"), 10), Sum(frozenset("a"), 5)])


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.dictionaries(st.text("abc", min_size=1), WORDS | st.lists(WORDS) | st.dictionaries(WORDS, WORDS)), WORDS)
def test_what_is_written_is_read_back_whatever_is_said_of_it(data: dict[str, object], remark: str) -> None:
    """Comments change nothing, and no text ends one or becomes one."""
    noted = Noted(**data)
    noted.above.append(remark)
    for key in data:
        noted.note(key, remark)
    whole = Noted(top=noted, items=[noted, "x"])

    assert {"top": data, "items": [data, "x"]} == yaml.safe_load(write(whole)) or not data


def test_a_remark_stands_beside_its_key_or_above_it() -> None:
    """A short line has room for it, a long one has not."""
    item = Noted(short="x", long="y" * 100)
    item.note("short", "a remark")
    item.note("long", "another remark")

    assert ["- short: x  # a remark", "  # another remark", f"  long: {'y' * 100}"] == [
        line[2:] for line in write(Noted(items=[item])).splitlines()[1:]
    ]


# The command.


def invoke(*args: str) -> Result:
    return CliRunner().invoke(main, ["snapshot", *args])


def test_the_command_writes_a_scenario(tmp_path: Path) -> None:
    """The file is a scenario that can be served, and nothing else is left beside it."""
    out = tmp_path / "scenario.yaml"
    with mockanka.serve("default", clock="manual") as anka:
        done = invoke(anka.url, "-o", str(out))
        printed = invoke(anka.url)

    assert (0, 0) == (done.exit_code, printed.exit_code)
    assert [out] == list(tmp_path.iterdir())
    assert out.read_text("utf-8") == printed.stdout
    assert "nightly" == Scenario.find(str(out)).section.instances[0].name


def test_the_command_redacts() -> None:
    """With --redact no name of the controller is printed, nor where it is."""
    with mockanka.serve("default", clock="manual") as anka:
        done = invoke(anka.url, "--redact")

    assert 0 == done.exit_code
    assert [] == [word for word in ("nightly", "mini-01", "127.0.0.1", "ci.example") if word in done.stdout]


def test_a_list_with_nulls_too_many_is_read() -> None:
    """What strict clients read none of makes a snapshot all the same, over HTTP and with its fault in force."""
    with mockanka.serve("null-in-list", clock="manual") as anka:
        done = invoke(anka.url)
    (one,) = Scenario.from_yaml(done.stdout).section.instances

    assert ("Scheduling", "vanilla") == (one.state, one.tag)
    assert [None] * 3 == [one.vm, one.external_id, one.name]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["not a url"], "is not the URL of a controller"),
        (["http://127.0.0.1:PORT"], "nothing listens at 127.0.0.1 port"),
        (["http://127.0.0.1:PORT", "-o", "nowhere/at/all.yaml"], "there is no folder"),
        (["http://127.0.0.1:PORT", "--release", "new"], "--release"),
        (["http://127.0.0.1:PORT", "--header", "X"], "is not a header"),
        (["http://127.0.0.1:PORT", "--timeout", "0"], "is no time"),
        (["https://127.0.0.1:PORT", "--ca", "nowhere.pem"], "--ca: there is no file nowhere.pem"),
    ],
)
def test_what_cannot_be_read_ends_with_2(args: list[str], complaint: str) -> None:
    """The reason is on standard error, and nothing on standard output."""
    port = str(closed_port())
    done = invoke(*(arg.replace("PORT", port) for arg in args))

    assert (2, "") == (done.exit_code, done.stdout)
    assert complaint in done.stderr


def test_a_file_stays_as_it_was_when_there_is_no_snapshot(tmp_path: Path) -> None:
    """Half a scenario is never written, and an earlier one is not lost."""
    out = tmp_path / "scenario.yaml"
    out.write_text("seed: 1\n", "utf-8")
    done = invoke(f"http://127.0.0.1:{closed_port()}", "-o", str(out))

    assert 2 == done.exit_code
    assert ("seed: 1\n", [out]) == (out.read_text("utf-8"), list(tmp_path.iterdir()))


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """What is no file is no place for a scenario."""
    with mockanka.serve("default", clock="manual") as anka:
        (tmp_path / ".x.yaml.part").mkdir()
        done = invoke(anka.url, "-o", str(tmp_path / "x.yaml"))

    assert 2 == done.exit_code
    assert "x.yaml cannot be written" in done.stderr
