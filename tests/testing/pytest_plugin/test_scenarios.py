"""The scenario of a suite: from the ini file, a fixture or a file."""

from __future__ import annotations

import re

from tests.testing.pytest_plugin.suite import Suite


def test_a_module_or_a_suite_overrides_the_scenario(suite: Suite) -> None:
    """A conftest's scenario beats that of the ini file, a module's beats the conftest's, and a marker beats all."""
    suite.write("pytest.ini", "[pytest]\nanka_scenario = fleet\n")
    suite.write("test_ini.py", "def test_ini(anka): assert len(anka.nodes) == 100\n")
    suite.write("inner/conftest.py", "@pytest.fixture\ndef anka_scenario(): return 'busy'\n")
    suite.write("inner/test_conftest.py", "def test_conftest(anka): assert len(anka.nodes) == 3\n")
    suite.write(
        "inner/test_module.py",
        """
        from pathlib import Path

        @pytest.fixture
        def anka_scenario(tmp_path):
            file = tmp_path / "mine.yaml"
            file.write_text("nodes: [{name: mine}]")
            return file

        def test_module(anka):
            assert [node.name for node in anka.nodes.values()] == ["mine"]

        @pytest.mark.anka(scenario="default")
        def test_marker(anka):
            assert len(anka.nodes) == 2

        class TestData:
            @pytest.fixture
            def anka_scenario(self):
                return {"nodes": [{"name": "data"}]}

            def test_data(self, anka):
                assert [node.name for node in anka.nodes.values()] == ["data"]
        """,
    )
    run = suite.run()

    assert run.counted(passed=5), run.output


def test_the_ini_names_the_release(suite: Suite) -> None:
    """The release of a marker beats that of the ini file."""
    suite.write("pytest.ini", "[pytest]\nanka_release = 1.43.0\n").write(
        "test_it.py",
        """
        def test_ini(anka): assert anka.dump()["controller"]["release"] == "1.43.0"

        @pytest.mark.anka(release="1.24.0")
        def test_marker(anka): assert anka.dump()["controller"]["release"] == "1.24.0"
        """,
    )
    run = suite.run()

    assert run.counted(passed=2), run.output


def test_a_scenario_file_is_found_from_the_root_and_beside_the_test(suite: Suite) -> None:
    """The file is found wherever pytest is started, by text or Path."""
    suite.write("pytest.ini", "[pytest]\nanka_scenario = scenarios/root.yaml\n")
    suite.write("scenarios/root.yaml", "nodes: [{name: root}]\n")
    suite.write("inner/beside.yaml", "nodes: [{name: beside}]\n")
    suite.write(
        "inner/test_it.py",
        """
        from pathlib import Path

        def names(anka): return [node.name for node in anka.nodes.values()]

        def test_root(anka): assert names(anka) == ["root"]

        @pytest.mark.anka(scenario="beside.yaml")
        def test_beside(anka): assert names(anka) == ["beside"]

        @pytest.mark.anka(scenario=Path("beside.yaml"))
        def test_path(anka): assert names(anka) == ["beside"]

        @pytest.mark.anka(scenario=Path(__file__).parent / "beside.yaml")
        def test_absolute(anka): assert names(anka) == ["beside"]
        """,
    )
    elsewhere = suite.folder / "elsewhere"
    elsewhere.mkdir()
    for run in (suite.run(), suite.run("-c", "../pytest.ini", "../inner", cwd=elsewhere)):
        assert run.counted(passed=4), run.output


def test_a_wrong_scenario_file_is_a_failure_that_names_file_line_and_key(suite: Suite) -> None:
    """The error has no traceback."""
    suite.write("mine.yaml", "nodes:\n  - name: a\n    capcity: 2\n")
    suite.write("test_it.py", "@pytest.mark.anka(scenario='mine.yaml')\ndef test_it(anka): pass\n")
    run = suite.run()

    assert run.counted(errors=1), run.output
    assert re.search(
        r"the anka fixture cannot begin: \S*mine\.yaml:3: .*capcity.*did you mean 'capacity'\?", run.output
    )
    assert "Traceback" not in run.output
    assert "pytest_plugin.py" not in run.output


def test_a_scenarios_own_clock_beats_the_default(suite: Suite) -> None:
    """The clock steps if neither marker nor scenario has a clock."""
    suite.write(
        "test_it.py",
        """
        @pytest.mark.anka(scenario={"clock": {"mode": "manual"}})
        def test_its_own(anka): assert "manual" == anka.clock.mode

        @pytest.mark.anka(scenario={"clock": {"mode": "manual"}}, clock="real")
        def test_the_markers(anka): assert "real" == anka.clock.mode

        def test_none(anka): assert "step" == anka.clock.mode
        """,
    )
    run = suite.run()

    assert run.counted(passed=3), run.output


def test_a_scenario_is_loaded_from_beside_the_test_too(suite: Suite) -> None:
    """``load`` finds a file as the marker finds it."""
    suite.write("deep/test_it.py", "def test_it(anka):\n    anka.load('mine.yaml')\n    assert not anka.nodes\n")
    suite.write("deep/mine.yaml", "templates: []\n")
    run = suite.run()

    assert run.counted(passed=1), run.output
