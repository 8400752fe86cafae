"""Clients that oapi-codegen, openapi-generator and openapi-typescript generate from the control document work."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import mockanka
from tests.installed import INSTALLED, require_installed
from tests.openapi.control_document.document import DOCUMENT

PROGRAMS = Path(__file__).parent
EXPECTED = """\
health ok
added fault-1
status 503 200
fired 1
refused 400 1
requests 3 POST 200 true
timeline Scheduling Started
node Unhealthy
finding leaks
reset ok
"""
OFFLINE = {"GOPROXY": "off", "GOFLAGS": "-mod=mod", "GONOSUMDB": "*", "GOTOOLCHAIN": "local"}


def find_generators() -> Path:
    """Return the folder into which ``.ci/clients`` has put the generators."""
    files = ["generators/go/bin/oapi-codegen", "generators/java/lib", "generators/typescript/node_modules"]
    require_installed("The generators", ["go", "java", "javac", "node"], files)
    return INSTALLED / "generators"


def call(*command: str | Path, cwd: Path) -> str:
    """Run a command without network, and return what it prints. Fails the test if the command fails."""
    environment = {**os.environ, **OFFLINE}
    finished = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, f"{command}\n{finished.stdout[-3000:]}\n{finished.stderr[-3000:]}"
    return finished.stdout


def build_go(generators: Path, folder: Path) -> list[str]:
    """Generate and compile the client in Go; return the command that runs it."""
    shutil.copytree(generators / "go" / "module", folder, dirs_exist_ok=True)
    shutil.copy(PROGRAMS / "go" / "main.go", folder)
    (folder / "control").mkdir()
    generator = generators / "go" / "bin" / "oapi-codegen"
    code = call(generator, "-generate", "types,client", "-package", "control", DOCUMENT, cwd=folder)
    (folder / "control" / "control.go").write_text(code, "utf-8")
    call("go", "build", "-o", "main", ".", cwd=folder)
    return [str(folder / "main")]


def build_java(generators: Path, folder: Path) -> list[str]:
    """Generate and compile the client in Java; return the command that runs it."""
    (jar,) = (generators / "java").glob("openapi-generator-cli-*.jar")
    packages = {"invoker": "mockanka.control", "api": "mockanka.control.api", "model": "mockanka.control.model"}
    options = [text for kind, name in packages.items() for text in (f"--{kind}-package", name)]
    kinds = "apis,models,supportingFiles,apiDocs=false,modelDocs=false,apiTests=false,modelTests=false"
    generate = ["java", "-jar", str(jar), "generate", "-g", "java", "--library", "native", "--global-property", kinds]
    call(*generate, "-i", DOCUMENT, "-o", folder, *options, cwd=folder)
    sources = sorted((folder / "src" / "main" / "java").rglob("*.java"))
    libraries = f"{generators / 'java' / 'lib'}/*"
    compile_command = ["javac", "-nowarn", "-proc:none", "-d", "classes", "-cp", libraries]
    call(*compile_command, *sources, PROGRAMS / "java" / "Main.java", cwd=folder)
    return ["java", "-cp", f"{folder / 'classes'}{os.pathsep}{libraries}", "Main"]


def build_typescript(generators: Path, folder: Path) -> list[str]:
    """Generate the types for TypeScript, and check and compile a program with them; return the command that runs it."""
    modules = generators / "typescript" / "node_modules"
    (folder / "node_modules").symlink_to(modules)
    for name in ("main.ts", "package.json"):
        shutil.copy(PROGRAMS / "typescript" / name, folder)
    call(modules / ".bin" / "openapi-typescript", DOCUMENT, "-o", "control.d.ts", cwd=folder)
    call(modules / ".bin" / "tsc", "--strict", "--target", "es2022", "--module", "nodenext", "main.ts", cwd=folder)
    return ["node", str(folder / "main.js")]


@pytest.mark.parametrize("build", [build_go, build_java, build_typescript])
def test_a_generated_client_works(build: Callable[[Path, Path], list[str]], tmp_path: Path) -> None:
    """A program with the generated client adds a rule, reads it back, is refused, lists requests, waits and resets."""
    command = build(find_generators(), tmp_path)
    with mockanka.serve("default", clock="manual") as anka:
        assert EXPECTED == call(*command, anka.url, anka.templates["14.5-arm64"].id, cwd=tmp_path)
