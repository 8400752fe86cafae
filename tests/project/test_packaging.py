"""An installed package works without the checkout: a wheel, an sdist, an editable install."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import requests
import yaml

from mockanka.contract import document
from mockanka.core.release import DEFAULT_RELEASE
from tests.conftest import FULL
from tests.processes import serving

ROOT = Path(__file__).parents[2]
NOT_SOURCE = shutil.ignore_patterns(
    ".git", ".*_cache", "__pycache__", "build", "dist", "*.egg-info", ".hypothesis", ".venv", "venv"
)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that must succeed, and return its output."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the project, so that building leaves nothing behind in the checkout."""
    copy = tmp_path_factory.mktemp("source") / "mockanka"
    shutil.copytree(ROOT, copy, ignore=NOT_SOURCE)
    return copy


@pytest.fixture(scope="module")
def distributions(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build the wheel and the sdist."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source, cwd=out)
    return {"wheel": next(out.glob("*.whl")), "sdist": next(out.glob("*.tar.gz"))}


def fresh_environment(folder: Path, *requirements: str | Path) -> Path:
    """Return a new virtual environment with mockanka; its dependencies are linked, so that no network is needed."""
    environment = folder / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=folder)
    python = environment / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    linked = folder / "linked"
    linked.mkdir()
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if "mockanka" not in package.name:  # this one must come from what is being tested
            (linked / package.name).symlink_to(package)
    (site / "linked.pth").write_text(f"{linked}\n")
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet"]
    run(sys.executable, "-m", "pip", "--python", python, "install", *offline, *requirements, cwd=folder)
    return environment


# The wheel is built of the sdist, so what is missing in the sdist is missing in the wheel.
@pytest.mark.parametrize("kind", ["wheel", "sdist", "editable"] if FULL else ["wheel"])
def test_an_installed_mockanka_serves_default_outside_the_checkout(
    kind: str, source: Path, distributions: dict[str, Path], tmp_path: Path
) -> None:
    """Each kind of install serves, and has the contract and all scenarios."""
    requirements: list[str | Path] = ["--editable", source] if kind == "editable" else [distributions[kind]]
    environment = fresh_environment(tmp_path, *requirements)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    mockanka, python = environment / "bin" / "mockanka", environment / "bin" / "python"
    home = run(python, "-c", "import mockanka; print(mockanka.__file__)", cwd=elsewhere)
    contract = run(mockanka, "openapi", cwd=elsewhere)
    scenarios = {line.split()[0] for line in run(mockanka, "scenario", "list", cwd=elsewhere).splitlines()}
    with serving("default", command=[str(mockanka)], cwd=elsewhere) as server:
        status = requests.get(f"{server.url}/api/v1/status", timeout=5).json()

        assert (source if kind == "editable" else environment) in Path(home).parents
        assert status["body"]["status"] == "Running"
        assert yaml.safe_load(contract) == document.at_release(document.load_document(), DEFAULT_RELEASE)
        assert scenarios == {path.stem for path in (ROOT / "scenarios").glob("*.yaml")}
        # The package has the contract, so that a controller can be checked in any folder.
        run(mockanka, "check", server.url, "--interval", "1ms", "--no-generated", cwd=elsewhere)
        assert server.stop()[0] == 0


def test_a_bare_checkout_serves_too(source: Path) -> None:
    """Without an install ``python -m mockanka`` in the checkout finds the files beside the package."""
    names = run(sys.executable, "-m", "mockanka", "scenario", "list", cwd=source)

    assert "default" in names


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_distributions_carry_no_leftovers(kind: str, distributions: dict[str, Path]) -> None:
    """The type marker is included; caches are not, and in the wheel no tests."""
    import tarfile
    import zipfile

    if kind == "wheel":
        names = zipfile.ZipFile(distributions[kind]).namelist()
    else:
        with tarfile.open(distributions[kind]) as archive:
            names = archive.getnames()

    assert any(name.endswith("mockanka/py.typed") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests/")]
