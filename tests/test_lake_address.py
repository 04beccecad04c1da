"""Addresses of lakes, and what a message may show of a store."""

from pathlib import Path

import pytest

import lake
from lake.address import address_of, plain
from lake.errors import UsageError
from lake.tables import INSTRUMENTS
from tests.processes import as_user, only_for_root


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("s3://bucket/prefix/", "s3://bucket/prefix"),
        ("S3://bucket", "s3://bucket"),
        ("gs://bucket/a b", "gs://bucket/a b"),
        ("az://container/lake", "az://container/lake"),
        ("abfss://container@account.dfs.core.windows.net/l", None),
        ("file:///data/my%20lake", "/data/my lake"),
        ("/data/lake/", "/data/lake"),
    ],
)
def test_an_address_is_kept_without_a_slash_at_the_end(text: str, uri: str | None) -> None:
    assert address_of(text).uri == (uri or text)


def test_a_folder_is_made_absolute() -> None:
    assert address_of("./x") == address_of(str(Path.cwd() / "x"))
    assert address_of("~/x").uri == str(Path.home() / "x")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("s3://key:hush-hush@bucket/lake", "holds credentials"),
        ("az://container/lake?sig=hush-hush", "signed or parametrised"),
        ("https://bucket.s3.amazonaws.com/lake", "use a folder, or s3://"),
        ("s3:///lake", "names no bucket"),
        ("", "address is empty"),
        ("file://", "address is empty"),
        ("s3://bucket/a%20b", "choose a prefix without"),
        ("s3://bucket/a#b", "choose a prefix without"),
        ("/data/a\x01b", "choose a path without"),
        ("~nosuchuser/lake", "knows no such home folder"),
        ('"/data/lake"', 'begins and ends with a quote .".'),
        ("'s3://key:hush-hush@bucket/lake'", "begins and ends with a quote .'."),
    ],
)
def test_an_address_where_no_lake_can_be_is_refused_without_showing_a_secret(
    text: str, told: str
) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        lake.open(text)
    assert "hush" not in str(caught.value)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    only_for_root()
    store = lake.open("s3://bucket/lake")
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with as_user(54321):
        with pytest.raises(UsageError, match="Set XDG_CACHE_HOME"):
            _ = store.machine_folder
        with pytest.raises(UsageError, match="begins with ~, and this machine knows no such home"):
            lake.open("~/lake")


def test_commits_to_s3_are_conditional_whatever_the_environment_says() -> None:
    assert address_of("s3://bucket/lake").options == {"aws_conditional_put": "etag"}
    assert address_of("gs://bucket/lake").options == {}
    assert address_of("s3://b/l", {"aws_region": "x"}).options["aws_region"] == "x"


def test_no_representation_shows_the_options() -> None:
    where = lake.open("memory:///lake", {"aws_secret_access_key": "hush-hush"})
    shown = [where, address_of("s3://b/l", where.options), where.snapshot(INSTRUMENTS)]
    assert "hush" not in repr(shown)


def test_what_a_library_says_is_told_on_one_line_without_colours_or_secrets() -> None:
    said = "Generic S3 error\n   \x1b[31m↳\x1b[0m GET http://x?token=hush-hush\n  builder error"
    environment = {"AWS_SESSION_TOKEN": "hush-hush", "AWS_ACCESS_KEY_ID": "builder"}
    assert plain(said, environment) == (
        "Generic S3 error: GET http://x?token=(AWS_SESSION_TOKEN): builder error"
    )
    said = "error sending request for url (http://me:hush@hush@host:1/bucket/x@y)"
    assert plain(said, {}) == "error sending request for url (http://***@host:1/bucket/x@y)"
    assert "AWS_ALLOW_HTTP=true" in plain("URL scheme is not allowed")


@pytest.mark.parametrize(
    "said",
    [
        "an error occurred while loading credentials: IMDS is disabled",
        "the credential provider was not enabled: no credentials found in chain",
        "Generic MicrosoftAzure error: Account must be specified",
        "Generic GCS error: Error performing token request",
        "status code: 403 Forbidden: <Code>AccessDenied</Code>",
    ],
)
def test_where_credentials_lack_it_is_said_where_they_come_from(said: str) -> None:
    assert plain(said).startswith(f"{said}. Credentials come from the environment")
    assert "docs/operations.md" in plain(said)
