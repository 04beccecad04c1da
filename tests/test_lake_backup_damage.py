"""Backups and restores of damaged lakes, and to damaged copies."""

from collections.abc import Callable, Mapping
from itertools import cycle
from pathlib import Path

import pytest

from basislake import PROGRAM
from lake import Lake
from lake import open as open_lake
from lake.backup.copy import copy
from lake.history.fingerprint import fingerprint
from lake.table import Table
from lake.tables import CANDLES, COVERAGE, RAW_CANDLES
from tests.damage import DAMAGES, file_of, flipped, garbled
from tests.market import backup, basislake
from tests.staged import built, content, is_same

ALL_DAMAGES: Mapping[str, Callable[[Path], None]] = {**DAMAGES, "flipped": flipped}


@pytest.mark.slow
def test_a_damaged_file_of_either_side_is_named_and_the_exit_code_is_1(
    lake: Lake, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    backup(lake, str(folder))
    good, bad = lake.snapshot(RAW_CANDLES).files[:2]
    for at in (Path(lake.uri), folder):
        flipped(at / "raw_candles" / bad.path)
    done = basislake(None, "backup", folder, "--lake", lake.uri, "--json")
    assert (done.code, done.json["equal"], done.json["files_mended"]) == (1, False, 0)
    for at in (Path(lake.uri), folder):
        assert f"Damaged: raw_candles/{bad.path} at {at}" in done.err
    assert "files of the source are damaged" in done.err
    (Path(lake.uri) / "raw_candles" / good.path).write_bytes(b"short")
    done = basislake(None, "backup", tmp_path / "new", "--lake", lake.uri)
    assert done.code == 1
    assert "the source is damaged" in done.err


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "damage"), [*zip(cycle(("backup", "restore")), ALL_DAMAGES)])
def test_what_is_damaged_in_the_copy_is_copied_once_more(
    lake: Lake, tmp_path: Path, verb: str, damage: str
) -> None:
    at = open_lake(str(tmp_path / "backup"))
    backup(lake, at.uri)
    source, target = (lake, at) if verb == "backup" else (at, lake)
    for table in (RAW_CANDLES, CANDLES, COVERAGE):
        ALL_DAMAGES[damage](file_of(target, table))
    assert basislake(None, "fingerprint", "--verify", "--lake", target.uri).code == 1
    done = basislake(None, verb, at.uri, "--lake", lake.uri, "--json")
    assert (done.code, done.json["equal"], done.json["files_mended"]) == (0, True, 3), done.err
    assert is_same(content(target), content(source))
    assert fingerprint(target, 2, verify=True) == fingerprint(source, 2)


@pytest.mark.slow
def test_what_is_damaged_in_the_source_is_not_copied_over_what_is_sound(
    lake: Lake, tmp_path: Path
) -> None:
    at = open_lake(str(tmp_path / "backup"))
    backup(lake, at.uri)
    before = content(at)
    garbled(file_of(lake, CANDLES))
    flipped(file_of(at, RAW_CANDLES))
    done = copy(lake, at, PROGRAM, 2)
    assert done.is_equal
    assert done.mended == 1
    assert is_same(content(at), before)


@pytest.mark.slow
@pytest.mark.parametrize("table", [RAW_CANDLES, CANDLES])
def test_a_file_that_is_gone_is_named_and_what_was_copied_stays(
    lake: Lake, tmp_path: Path, table: Table
) -> None:
    built(lake, full=True)
    lost = Path(lake.uri) / table.name / lake.snapshot(table).files[0].path
    data = lost.read_bytes()
    lost.unlink()
    at = open_lake(str(tmp_path / "backup"))
    done = basislake(None, "backup", at.uri, "--lake", lake.uri)
    assert done.code == 1
    named = f"{table.name}/{lost.relative_to(Path(lake.uri) / table.name)}"
    assert f"{named} no longer exists: the source is damaged" in done.err
    assert "Traceback" not in done.err
    # No commit lacks the file, and when it is found again, the other files are already copied.
    assert at.snapshot(table).version is None
    lost.write_bytes(data)
    more = copy(lake, at, PROGRAM, 2)
    assert more.is_equal
    assert more.held > 0
    assert is_same(content(at), content(lake))
