"""Addresses of exchanges: which are refused, and that their passwords are never shown."""

from pathlib import Path

import pytest

from ingest.deribit.hosts import base_of, shown
from lake.errors import UsageError
from tests.hosts import SECRET
from tests.market import basislake


@pytest.mark.parametrize(
    "url",
    [
        "https://www.deribit.com",
        "http://127.0.0.1:8401/mirror",
        "http://[::1]:9",
        f"http://user:{SECRET}@rehearsal.example:9",
    ],
)
def test_a_base_has_a_host_and_loses_its_last_slash(url: str) -> None:
    assert base_of(f"{url}/") == base_of(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://host",
        "http://",
        "http:///path",
        "http://[broken",
        "http://host:0",
        "http://host:99999",
        "http://host/?token=1",
        "http://host/#part",
        "http://ho st",
        f"http://user:{SECRET}@",
        f"http://user:{SECRET}@host:99999",
        f"http://user:{SECRET}/1@host",
        f"http://user:1@{SECRET} @host",
        f"ftp://user:{SECRET}@host",
    ],
)
def test_what_is_no_base_is_wrong_usage_and_shows_no_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not the http or https URL of a host") as caught:
        base_of(url)
    assert SECRET not in str(caught.value)
    for own in ("--exchange-url", "--history-url"):
        good = "--history-url" if own == "--exchange-url" else "--exchange-url"
        urls = (own, url, good, "http://127.0.0.1:9")
        done = basislake(None, "instruments", "--lake", tmp_path / "lake", *urls)
        assert done.code == 2
        assert "is not the http or https URL of a host" in done.err
        assert SECRET not in done.err
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("http://host/path", "http://host/path"),
        (f"http://user:{SECRET}@host/path", "http://host/path"),
        (f"http://user:a@{SECRET}@host", "http://host"),
        (
            f"Failed to parse: http://user:{SECRET}@host:99999/x",
            "Failed to parse: http://host:99999/x",
        ),
    ],
)
def test_what_is_shown_of_an_address_names_no_user(text: str, without: str) -> None:
    assert shown(text) == without
