"""The table of operations: each stands once, and is there from the release of its feature on."""

import pytest

from mockanka.core.operations import OPERATION_METHODS, OPERATIONS, Operation, find_operation, methods_by_path
from mockanka.core.release import DEFAULT_RELEASE, OLDEST_RELEASE, SINCE, Release


def test_each_operation_is_in_the_table_once() -> None:
    """Neither an id nor a method at a path is there twice."""
    assert len(OPERATIONS) == len({operation.id for operation in OPERATIONS})
    assert len(OPERATIONS) == len({(operation.method, operation.path) for operation in OPERATIONS})


def test_operations_of_a_path_are_grouped() -> None:
    """Texts that list the paths have them in the order of the table."""
    paths = [operation.path for operation in OPERATIONS]

    assert sorted(paths, key=paths.index) == paths


def test_an_operation_is_found_by_method_and_path() -> None:
    """A request that no operation takes finds None."""
    assert [*OPERATIONS] == [find_operation(operation.method, operation.path) for operation in OPERATIONS]
    assert (None, None) == (find_operation("PATCH", "/api/v1/vm"), find_operation("GET", "/api/v1/nothing"))


@pytest.mark.parametrize(
    "operation", [operation for operation in OPERATIONS if operation.feature], ids=lambda it: it.id
)
def test_an_operation_is_in_the_releases_that_have_its_feature(operation: Operation) -> None:
    """It is in the release that the feature came with, and not in the oldest."""
    assert operation.is_in(SINCE[operation.feature or ""])
    assert not operation.is_in(OLDEST_RELEASE)


def test_an_operation_without_a_feature_is_in_every_release() -> None:
    """It was there from the beginning."""
    assert all(operation.is_in(OLDEST_RELEASE) for operation in OPERATIONS if operation.feature is None)


@pytest.mark.parametrize(
    ("release", "expected"),
    [(Release(1, 42, 0), ["GET", "POST"]), (Release(1, 43, 0), ["GET", "POST", "DELETE"])],
)
def test_a_path_has_the_methods_of_its_release(release: Release, expected: list[str]) -> None:
    """Methods of later releases are left out."""
    assert expected == methods_by_path(release)["/api/v1/registry/vm/distribute"]


def test_a_path_without_operations_is_left_out() -> None:
    """A path is listed if the release has one of its operations; without a release all are."""
    assert ("/livez" in methods_by_path(OLDEST_RELEASE), "/livez" in methods_by_path(DEFAULT_RELEASE)) == (False, True)
    assert methods_by_path() == methods_by_path(DEFAULT_RELEASE)


def test_the_methods_are_those_of_the_operations() -> None:
    """They are sorted."""
    assert OPERATION_METHODS == ("DELETE", "GET", "POST", "PUT")
