"""Files that are replaced atomically."""

import os
from pathlib import Path

import pytest

from basislake.output.whole_files import replacing


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"before")
    return path


def test_a_file_is_what_it_was_until_the_block_ends(path: Path) -> None:
    with replacing(path) as sink:
        sink.write(b"after, and longer")
        sink.flush()
        assert path.read_bytes() == b"before"
    assert path.read_bytes() == b"after, and longer"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("raised", [OSError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_the_file_and_nothing_else(
    path: Path, raised: type[BaseException]
) -> None:
    def fail() -> None:
        with replacing(path) as sink:
            sink.write(b"half")
            raise raised

    with pytest.raises(raised):
        fail()
    assert path.read_bytes() == b"before"
    assert list(path.parent.iterdir()) == [path]


def test_permissions_and_links_stay(path: Path) -> None:
    path.chmod(0o640)
    link = path.parent / "link"
    link.symlink_to(path.name)
    with replacing(link) as sink:
        sink.write(b"after")
    assert link.readlink() == Path(path.name)
    assert path.read_bytes() == b"after"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_new_file_has_the_permissions_that_any_other_gets(path: Path) -> None:
    new, usual = path.parent / "new", path.parent / "usual"
    before = os.umask(0o027)
    try:
        usual.touch()
        with replacing(new) as sink:
            sink.write(b"new")
    finally:
        os.umask(before)
    assert new.stat().st_mode == usual.stat().st_mode


def test_a_place_where_no_file_can_be_is_an_error(path: Path) -> None:
    loop = path.parent / "loop"
    loop.symlink_to("loop")
    for wrong in (path / "below", path.parent / "no" / "file", path.parent, loop):
        with pytest.raises(OSError, match=str(path.parent)), replacing(wrong):
            pass
    assert sorted(path.parent.iterdir()) == [path, loop]
