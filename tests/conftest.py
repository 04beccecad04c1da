"""Fixtures that several tests share."""

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
