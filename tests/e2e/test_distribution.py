"""Wheel and source archive: their content, and the command in an environment that was made from the wheel."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fixtures.processes import REPOSITORY, free_port

_CONFIG = "storage: {root: data}\nservers: [{id: a, mount_path: /mcp/a, upstream: {url: 'http://127.0.0.1:1/mcp'}}]\n"
_NAMESAKES = ("gateway", "shared", "storage_worker")  # of our folders: anybody's packages may be called so


@dataclass(frozen=True)
class _Environment:
    """A virtual environment of a test. Its programs find nothing of this repository."""

    folder: Path

    @property
    def site_packages(self) -> Path:
        return next(self.folder.glob("lib/python*/site-packages"))

    def run(self, program: str, *arguments: str | Path) -> str:
        """Output of one of its programs, which must succeed."""
        argv = [str(self.folder / "bin" / program), *map(str, arguments)]
        env = {"PATH": os.defpath, "HOME": str(self.folder), "LANG": "C.UTF-8"}
        return _output(argv, cwd=self.folder, env=env)

    def install(self, *arguments: str | Path) -> None:
        """Run `pip install` for it, with the settings of this machine."""
        pip = [sys.executable, "-m", "pip", "--python", str(self.folder), "install", "--quiet"]
        _output([*pip, *map(str, arguments)])

    def lend_dependencies(self) -> None:
        """Let it import what is installed where the tests run, except longshore."""
        (self.site_packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and a source archive of this tree."""
    folder = tmp_path_factory.mktemp("dist")
    _output([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=REPOSITORY)
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> _Environment:
    venv.create(tmp_path / "env", symlinks=True)
    return _Environment(tmp_path / "env")


def test_the_wheel_holds_one_package_and_all_of_it(archives: Path) -> None:
    content = _content(_wheel(archives))

    tops = {name.partition("/")[0] for name in content}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"longshore"}
    assert {name for name in content if name.startswith("longshore/")} == _files_of_the_package()


def test_the_source_archive_builds_the_same_wheel(archives: Path, tmp_path: Path) -> None:
    with tarfile.open(next(archives.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    source = next(tmp_path.iterdir())

    _output([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], cwd=source)

    assert _content(_wheel(tmp_path)) == _content(_wheel(archives))


def test_the_command_runs_beside_packages_that_are_called_like_our_folders(
    archives: Path, environment: _Environment
) -> None:
    environment.install("--no-deps", "--no-index", _wheel(archives))
    environment.lend_dependencies()
    for name in _NAMESAKES:
        (environment.site_packages / name).mkdir()
        (environment.site_packages / name / "__init__.py").write_text("raise ImportError('not longshore')\n")
    (environment.folder / "config.yaml").write_text(_CONFIG)

    version = environment.run("longshore", "--version")
    checked = environment.run("python", "-m", "longshore", "check", "--config", "config.yaml")

    assert _wheel(archives).name.startswith(f"longshore_mcp-{version.strip()}-")
    assert "mount_path: /mcp/a" in checked


@pytest.mark.slow  # takes a minute, and a registry
@pytest.mark.timeout(600)
def test_the_wheel_alone_is_enough_for_the_demonstration(archives: Path, environment: _Environment) -> None:
    """No Redis on the search path, and PyPI's package `shared` beside it."""
    environment.install(_wheel(archives), "shared")
    port = free_port()

    shown = environment.run("longshore", "up", "--demo", "--once", "--port", str(port), "--data", "data")

    assert "the resource and the download are identical" in shown


def _wheel(folder: Path) -> Path:
    return next(folder.glob("*.whl"))


def _content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _files_of_the_package() -> set[str]:
    return {
        str((Path(folder) / name).relative_to(REPOSITORY))
        for folder, _, names in os.walk(REPOSITORY / "longshore", followlinks=True)
        for name in names
        if not name.endswith(".pyc")
    }


def _output(argv: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout
