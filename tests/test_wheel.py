"""The wheel: its content, and that it runs alone, with its requirements only."""

import sys
import venv
import zipfile
from collections.abc import Iterable
from importlib.metadata import PathDistribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests import session
from tests.market import ROOT, Ran
from tests.processes import finished

PACKAGES = ("basislake", "ingest", "lake", "load", "transforms")

pytestmark = pytest.mark.slow


def run(*command: object, cwd: Path) -> Ran:
    """Run a program that knows nothing of this environment but where temporary files go."""
    return finished(*command, cwd=cwd, env={"PATH": "/usr/bin:/bin", **session.places()})


def pip(*arguments: object, cwd: Path) -> None:
    """Run pip without any package index."""
    offline = ("--quiet", "--disable-pip-version-check")
    done = run(sys.executable, "-m", "pip", *offline, *arguments, cwd=cwd)
    assert done.code == 0, done.err


def required(texts: Iterable[str]) -> set[str]:
    """The distributions that these requirements name, and those that they require in turn."""
    waiting, names = list(texts), set[str]()
    while waiting:
        one = Requirement(waiting.pop())
        if one.name not in names and (one.marker is None or one.marker.evaluate({"extra": ""})):
            names.add(one.name)
            waiting += distribution(one.name).requires or []
    return names


def link(name: str, site: Path) -> None:
    """Have what a distribution installed here also in the packages of another environment."""
    installed = distribution(name)
    tops = {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}
    for top in tops:
        if not (site / top).exists():
            (site / top).symlink_to(Path(str(installed.locate_file(top))))


def made(folder: Path) -> Path:
    """A wheel, built as `make wheel` does, and an environment in which it is installed; no package
    index is asked.
    """
    alone = ("--no-deps", "--no-index")
    pip("wheel", *alone, "--no-build-isolation", "--wheel-dir", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("basislake-*.whl")
    venv.create(folder / "env", symlinks=True)
    (site,) = folder.glob("env/lib/python*/site-packages")
    pip("--python", folder / "env/bin/python", "install", *alone, wheel, cwd=folder)
    (metadata,) = site.glob("basislake-*.dist-info")
    for name in required(PathDistribution(metadata).requires or ()):
        link(name, site)
    return folder


@pytest.fixture(scope="module")
def folder() -> Path:
    return session.once("wheel", made)


def test_a_wheel_holds_all_files_of_the_packages_and_the_licences(folder: Path) -> None:
    (wheel,) = folder.glob("basislake-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert names >= {
        "basislake/report/base.js",
        "basislake/report/page.js",
        "basislake/report/page.css",
        "basislake/report/plotly-cartesian.min.js",
        "lake/py.typed",
    }
    ours = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    others = {name.partition(".dist-info/")[2] for name in names - ours}
    assert ours <= names
    assert others == {
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "licenses/LICENSE",
        "licenses/basislake/report/plotly-LICENSE",
    }


def test_a_wheel_alone_runs_the_demo_from_an_empty_folder(folder: Path, tmp_path: Path) -> None:
    # Not below pytest's folder, which the user of the embedded PostgreSQL may not enter.
    empty = folder / tmp_path.name
    empty.mkdir()
    program = folder / "env/bin/basislake"
    done = run(program, "demo", cwd=empty)
    assert done.code == 0, done.err
    assert "The curve now" in done.out
    assert "ETH-28JUN24" in done.out
    assert (empty / "demo-lake/report/index.html").stat().st_size > 1_000_000
    assert [path.name for path in empty.iterdir()] == ["demo-lake"]
    # What is run is what was installed.
    lake = "import lake, basislake; print(lake.__file__, basislake.__file__)"
    found = run(folder / "env/bin/python", "-c", lake, cwd=empty).out.split()
    assert all(path.startswith(str(folder / "env")) for path in found)
    # What is optional is named where it is missing.
    done = run(program, "build", "--lake", "demo-lake", "--engine", "dask", cwd=empty)
    assert (done.code, done.out) == (2, "")
    assert "-m pip install distributed" in done.err
    assert "Traceback" not in done.err
