"""Releases: how they are parsed and compared, and the features that they have."""

import pytest

from mockanka.core.release import DEFAULT_RELEASE, KNOWN_RELEASES, OLDEST_RELEASE, SINCE, Release


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("1.8.0", Release(1, 8, 0)),
        ("1.8", Release(1, 8, 0)),
        ("1.24.1", Release(1, 24, 1)),
        ("12.0.3", Release(12, 0, 3)),
    ],
)
def test_a_release_is_parsed(text: str, release: Release) -> None:
    """It has two or three numbers; the third is 0 by default."""
    assert release == Release.parse(text)


@pytest.mark.parametrize("text", ["", "1", "1.8.0.1", "v1.8", "1.8.0-24e848a5", "1.x", "1.8 ", "latest", "1.\u0668"])
def test_text_that_is_not_a_release_is_refused(text: str) -> None:
    """The error repeats it and gives an example."""
    with pytest.raises(ValueError, match=r"is no release: give one like 1\.50\.1"):
        Release.parse(text)


@pytest.mark.parametrize("text", ["1.7.9", "0.9", "1.0.0"])
def test_a_release_before_the_oldest_is_refused(text: str) -> None:
    """Releases before 1.8.0 are not simulated."""
    with pytest.raises(ValueError, match=r"is older than 1\.8\.0, the oldest that is simulated"):
        Release.parse(text)


def test_releases_compare_as_numbers() -> None:
    """1.10 comes after 1.9."""
    assert Release.parse("1.9") < Release.parse("1.10") < Release.parse("1.10.1") < Release.parse("2.0")


def test_a_release_has_three_numbers_as_text() -> None:
    """The text can be parsed again."""
    assert "1.24.0" == str(Release.parse("1.24"))


def test_the_default_release() -> None:
    """It is 1.50.1; the oldest is 1.8.0."""
    assert (Release(1, 8, 0), Release(1, 50, 1)) == (OLDEST_RELEASE, DEFAULT_RELEASE)


@pytest.mark.parametrize("feature", sorted(SINCE))
def test_releases_have_a_feature_from_its_first_on(feature: str) -> None:
    """Earlier releases do not have it."""
    since = SINCE[feature]

    assert since.has(feature)
    assert Release(since.major, since.minor, since.patch + 1).has(feature)
    assert not Release(since.major, since.minor - 1, 99).has(feature)


def test_the_oldest_release_has_no_feature_and_the_default_all() -> None:
    """Every feature of the table came after 1.8.0, and not after 1.50.1."""
    expected: list[str] = []

    assert expected == [feature for feature in SINCE if OLDEST_RELEASE.has(feature)]
    assert expected == [feature for feature in SINCE if not DEFAULT_RELEASE.has(feature)]


@pytest.mark.parametrize(
    ("asked", "known"),
    [
        ("1.8.0", "1.8.0"),
        ("1.8.9", "1.8.0"),
        ("1.12.0", "1.12.0"),
        ("1.12.7", "1.12.0"),
        ("1.16", "1.16.0"),
        ("1.24.1", "1.24.1"),
        ("1.50.0", "1.50.0"),
        ("1.50.7", "1.50.1"),
        ("99.0", str(KNOWN_RELEASES[-1])),
    ],
)
def test_an_unknown_release_is_simulated_as_the_nearest_lower_one(asked: str, known: str) -> None:
    """A known release is itself."""
    assert known == str(Release.parse(asked).known)


def test_every_release_of_the_table_is_known() -> None:
    """So are the oldest and the default; they are sorted, without duplicates."""
    assert {OLDEST_RELEASE, DEFAULT_RELEASE, *SINCE.values()} <= set(KNOWN_RELEASES)
    assert sorted(set(KNOWN_RELEASES)) == KNOWN_RELEASES
