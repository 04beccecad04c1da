"""Fixtures that several tests share."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from load.embedded import embedded


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URI of a real PostgreSQL: an embedded one, or the one of BASISLAKE_TEST_POSTGRES."""
    given = os.environ.get("BASISLAKE_TEST_POSTGRES")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="basislake-"))
    try:
        with embedded(folder / "pg") as uri:
            yield uri
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pytest_unconfigure() -> None:
    # DuckDB 2.0 and Hypothesis in one process keep each other's modules alive, and at the very end
    # DuckDB's binding library reports its own types as leaked, in a hundred lines.
    atexit.register(os.dup2, os.open(os.devnull, os.O_WRONLY), 2)
