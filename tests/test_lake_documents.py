"""Documents next to the tables of a lake on disk."""

import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lake
from lake import Lake, documents
from lake.errors import LakeError
from lake.tables import TABLES
from tests.profiles import SHARING


def names(at: Lake, newest: int = 100) -> list[str]:
    return list(documents.texts(at, "runs", "*", newest))


# The lake is the same for all examples: each text takes the place of the one before.
@settings(suppress_health_check=SHARING)
@given(st.text())
def test_a_document_is_read_back_as_it_was_written(at: Lake, text: str) -> None:
    documents.put(at, "runs/a.json", text)
    assert documents.texts(at, "runs", "*.json", 9) == {"runs/a.json": text}


def test_a_document_is_replaced_whole_and_may_be_long(at: Lake) -> None:
    for text in ("a" * 200_000, "b" * 59_999, ""):
        documents.put(at, "runs/a.json", text)
        assert documents.texts(at, "runs", "*.json", 9) == {"runs/a.json": text}


def test_the_last_names_come_first_and_only_so_many(at: Lake) -> None:
    for name in ("b.json", "a.json", "c.log", "d.json"):
        documents.put(at, f"runs/{name}", name)
    documents.put(at, "other/e.json", "elsewhere")
    found = documents.texts(at, "runs", "*.json", 2)
    assert list(found.items()) == [("runs/d.json", "d.json"), ("runs/b.json", "b.json")]
    assert documents.texts(at, "runs", "*.log", 2) == {"runs/c.log": "c.log"}
    assert documents.texts(at, "runs", "*.json", 0) == {}


def test_a_folder_or_a_lake_that_is_not_there_has_no_documents_and_is_not_made(at: Lake) -> None:
    assert documents.texts(at, "runs", "*.json", 9) == {}
    assert not Path(at.uri).exists()
    documents.put(at, "other/a.json", "a")
    assert documents.texts(at, "runs", "*.json", 9) == {}
    assert not (Path(at.uri) / "runs").exists()


def test_the_first_names_are_deleted_until_so_many_are_left(at: Lake) -> None:
    documents.prune(at, "runs", 2)
    for name in "badc":
        documents.put(at, f"runs/{name}", name)
    documents.put(at, "other/a", "a")
    for _ in range(2):
        documents.prune(at, "runs", 2)
        assert names(at) == ["runs/d", "runs/c"]
    documents.prune(at, "runs", 0)
    assert names(at) == []
    assert list(documents.texts(at, "other", "*", 9)) == ["other/a"]


def test_documents_are_no_part_of_the_tables(at: Lake) -> None:
    documents.put(at, "runs/a.json", "{}")
    assert {name: snapshot.version for name, snapshot in at.snapshots().items()} == dict.fromkeys(
        TABLES
    )


def test_a_lake_in_an_object_store_may_have_documents_too() -> None:
    # A store in memory is another one each time it is opened, so only writing can be seen here.
    documents.put(lake.open("memory:///lake"), "runs/a.json", "{}")
    assert documents.texts(lake.open("memory:///lake"), "runs", "*.json", 9) == {}


@pytest.mark.parametrize("where", ["file", "file/lake"])
def test_a_lake_that_cannot_be_written_is_a_lake_error(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    at = lake.open(str(tmp_path / where))
    with pytest.raises(LakeError, match=r"runs/a.json cannot be written at .*file"):
        documents.put(at, "runs/a.json", "text")


def test_a_folder_that_is_a_file_is_a_lake_error_and_other_documents_are_as_they_were(
    at: Lake,
) -> None:
    documents.put(at, "other/a.json", "a")
    (Path(at.uri) / "runs").write_text("not a folder")
    with pytest.raises(LakeError):
        documents.put(at, "runs/a.json", "text")
    assert documents.texts(at, "other", "*", 9) == {"other/a.json": "a"}


def test_who_reads_while_a_document_is_replaced_sees_one_of_the_two_texts(at: Lake) -> None:
    whole = ["a" * 50_000, "b" * 60_000]
    documents.put(at, "runs/a.json", whole[0])
    is_over = threading.Event()

    def write() -> None:
        for count in range(100):
            documents.put(at, "runs/a.json", whole[count % 2])
        is_over.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not is_over.is_set():
        seen.add(documents.texts(at, "runs", "*.json", 1)["runs/a.json"])
    writer.join()
    assert seen <= set(whole)
