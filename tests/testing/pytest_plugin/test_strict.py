"""Tests that fail because of findings of the report."""

from __future__ import annotations

import re

from tests.testing.pytest_plugin.suite import LEAKING, Suite


def test_a_test_that_leaves_instances_behind_fails(suite: Suite) -> None:
    """With ``anka_strict = leaks`` the failure names instance and request, and no other test fails."""
    suite.write("pytest.ini", "[pytest]\nanka_strict = leaks\n").write(
        "test_it.py",
        LEAKING
        + """
    def test_tidy(anka):
        ask(anka, "DELETE", json={"id": start(anka)})

    @pytest.mark.anka(strict="")
    def test_off(anka):
        start(anka)
    """,
    )
    run = suite.run()

    assert run.counted(passed=3, errors=1), run.output
    assert 1 == run.status
    assert re.search(
        r"the client did wrong:\n\s*leaks: instance \S+, external_id 'job-7' is still Sched\S+ \(#1\)", run.output
    )
    assert "ERROR test_it.py::test_leaks" in run.output
    assert "pytest_plugin.py" not in run.output


def test_the_last_test_of_a_session_that_leaks_fails_like_any_other(suite: Suite) -> None:
    """It fails with its leak, and the session ends regularly."""
    suite.write("pytest.ini", "[pytest]\nanka_strict = leaks\n").write("test_it.py", LEAKING)
    run = suite.run()

    assert "INTERNALERROR" not in run.output
    assert 1 == run.status
    assert "leaks: instance" in run.output


def test_a_marker_makes_one_test_strict(suite: Suite) -> None:
    """Kinds are separated by blanks or commas, or are all; findings of other kinds fail nothing."""
    suite.write(
        "test_it.py",
        """
        @pytest.mark.anka(strict="hammering, unknown-ids")
        def test_unknown(anka):
            start(anka)
            ask(anka, "DELETE", json={"id": "nobody"})

        @pytest.mark.anka(strict="all")
        def test_all(anka):
            start(anka)

        @pytest.mark.anka(strict="unknown-ids")
        def test_other(anka):
            start(anka)

        def test_lax(anka):
            start(anka)
        """,
    )
    run = suite.run()

    assert run.counted(passed=4, errors=2), run.output
    assert "unknown-ids: DELETE /api/v1/vm: there never was a 'nobody' (#2)" in run.output
    assert {"test_unknown", "test_all"} == set(re.findall(r"^ERROR test_it.py::(\w+)", run.output, re.MULTILINE))


def test_a_wrong_kind_in_the_ini_is_named(suite: Suite) -> None:
    """The error lists the kinds that exist, too."""
    suite.write("pytest.ini", "[pytest]\nanka_strict = leeks\n").write("test_it.py", "def test_it(anka): pass\n")
    run = suite.run()

    assert run.counted(errors=1), run.output
    assert "anka_strict: 'leeks' is no kind of finding: there are leaks, double-starts" in run.output
    assert "pytest_plugin.py" not in run.output


def test_a_strict_test_is_judged_over_its_resets_and_only_if_it_passed(suite: Suite) -> None:
    """A reset hides no leak; a test that failed or was skipped gets no second failure."""
    suite.write(
        "test_it.py",
        """
        pytestmark = pytest.mark.anka(strict=True)

        def test_resets(anka):
            start(anka)
            anka.reset()

        def test_fails(anka):
            start(anka)
            assert 0

        def test_skips(anka):
            start(anka)
            pytest.skip("enough")
        """,
    )
    run = suite.run()

    assert run.counted(passed=1, errors=1, failed=1, skipped=1), run.output
    assert "after reset" not in run.output
    assert "leaks: instance" in run.output


def test_a_termination_that_nobody_verified_fails_a_strict_test(suite: Suite) -> None:
    """A client that never looks again after a DELETE that is ignored fails the test; one that looks passes."""
    suite.write(
        "test_it.py",
        """
        pytestmark = pytest.mark.anka(strict="unverified-terminations")

        def terminate(anka):
            anka.faults.add(match={"event": "terminate"}, do={"ignore": True})
            ask(anka, "DELETE", json={"id": start(anka)})

        def test_trusts(anka):
            terminate(anka)

        def test_verifies(anka):
            terminate(anka)
            ask(anka, "GET")
        """,
    )
    run = suite.run()

    assert run.counted(passed=2, errors=1), run.output
    assert re.search(r"unverified-terminations: instance \S+ is still Scheduling after its termination", run.output)
