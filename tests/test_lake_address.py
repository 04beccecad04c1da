"""Addresses of lakes, and what a message may show about a store."""

import re
from pathlib import Path

import pytest

from lake import open as open_lake
from lake.errors import UsageError
from lake.location.lake_address import address_of
from lake.location.store_errors import plain
from lake.tables import INSTRUMENTS
from tests.lakes import LINEAGE, instrument, lake_of
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
    ("text", "expected"),
    [
        ("s3://key:hush-hush@bucket/lake", "holds credentials"),
        ("az://container/lake?sig=hush-hush", "signed or parametrised"),
        ("https://bucket.s3.amazonaws.com/lake", "use a folder, or s3://"),
        ("s3:///lake", "names no bucket"),
        ("s3://", "names no bucket"),
        ("s3://key:hush/hush@bucket/lake", "holds credentials"),
        ("abfss://me:hush@account.dfs.core.windows.net/lake", "holds credentials"),
        ("s3://key:hush/bucket/lake", "the bucket's name has only letters"),
        ("s3://127.0.0.1:9000/bucket/lake", "the bucket's name has only letters"),
        ("s3://b ucket/lake", "the bucket's name has only letters"),
        ("s3://../lake", "the bucket's name has only letters"),
        ("s3://bucket/../a", "without '.', '..' and empty names"),
        ("s3://bucket//a", "without '.', '..' and empty names"),
        ("s3://bucket/a?x#y", "signed or parametrised"),
        ("s3:/bucket/lake", "begins with s3: without"),
        ("S3:bucket/lake", "begins with S3: without"),
        ("file:/data/lake", "begins with file: without"),
        ("", "address is empty"),
        ("file://", "address is empty"),
        ("s3://bucket/a%20b", "choose a prefix without"),
        ("s3://bucket/a#b", "choose a prefix without"),
        ("/data/a\x01b", "choose a path without"),
        ("~nosuchuser/lake", "has no such home folder"),
        ('"/data/lake"', 'is in quotes .". that'),
        ("'s3://key:hush-hush@bucket/lake'", "is in quotes .'. that"),
    ],
)
def test_an_address_where_no_lake_can_be_is_refused_without_showing_a_secret(
    text: str, expected: str
) -> None:
    with pytest.raises(UsageError, match=expected) as caught:
        open_lake(text)
    assert "hush" not in str(caught.value)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    only_for_root()
    store = open_lake("s3://bucket/lake")
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with as_user(54321):
        with pytest.raises(UsageError, match="Set BASISLAKE_MACHINE_FOLDER"):
            _ = store.machine_folder
        with pytest.raises(UsageError, match="begins with ~, but this machine has no such home"):
            open_lake("~/lake")


ENDPOINTS = {
    "garbage": "is not the http or https URL of an object store: 'garbage'",
    "": "is not the http or https URL of an object store: ''",
    "127.0.0.1:9000": "is not the http or https URL",
    "ftp://store": "is not the http or https URL",
    "http://": "is not the http or https URL",
    "https://store:99999": "is not the http or https URL",
    "https://st ore": "is not the http or https URL",
    "https://store/?a=b": "is not the http or https URL",
    "http://127.0.0.1:9000": "without TLS: http://127.0.0.1:9000. Nothing was read or stored. Set",
    "https://me:hush-hush@store": "holds a user name or a password",
    "me:hush-hush@store": "holds a user name or a password",
}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("s3://bucket/lake", "AWS_ENDPOINT_URL"),
        ("s3a://bucket/lake", "AWS_ENDPOINT"),
        ("az://container/lake", "AZURE_STORAGE_ENDPOINT"),
    ],
)
@pytest.mark.parametrize(("url", "expected"), ENDPOINTS.items(), ids=ENDPOINTS)
def test_an_endpoint_that_no_library_can_use_is_refused_by_its_name(
    text: str, name: str, url: str, expected: str
) -> None:
    for options, environment in (({}, {name: url}), ({name.lower(): url}, {})):
        with pytest.raises(UsageError, match=rf"{name} .*{re.escape(expected)}") as caught:
            address_of(text, options, environment)
        assert "hush" not in str(caught.value)


def test_an_endpoint_is_taken_where_a_library_takes_it() -> None:
    local = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}
    for allowed in ({"AWS_ALLOW_HTTP": "true"}, {"AWS_ALLOW_HTTP": "1"}):
        assert address_of("s3://bucket/lake", {}, local | allowed)
    assert address_of("s3://bucket/lake", {"allow_http": "true"}, local)
    assert address_of("s3://bucket/lake", {}, {"AWS_ENDPOINT_URL": "https://store:9000/path/"})
    # That of the options goes before, and that of another store does not matter.
    assert address_of("s3://bucket/lake", {"endpoint": "https://store"}, local)
    for text in ("gs://bucket/lake", "az://container/lake", "/data/lake", "memory:///lake"):
        assert address_of(text, {}, {"AWS_ENDPOINT_URL": "garbage"})


def test_commits_to_s3_are_conditional_whatever_the_environment_says() -> None:
    assert address_of("s3://bucket/lake").options == {"aws_conditional_put": "etag"}
    assert address_of("gs://bucket/lake").options == {}
    assert address_of("s3://b/l", {"aws_region": "x"}).options["aws_region"] == "x"


HUSH = "hush-hush"
WRONG: list[tuple[dict[object, object], str]] = [
    ({"max_retries": "abc"}, "max_retries is not a whole number: 'abc'"),
    ({"max_retries": 3}, "max_retries is of the type int"),
    ({"aws_secret_access_key": [HUSH]}, "aws_secret_access_key is of the type list"),
    ({"AWS_TIMEOUT": "soon"}, "AWS_TIMEOUT is not a length of time like 30s"),
    ({"retry_timeout": "10x"}, "retry_timeout is not a length of time"),
    ({"backoff_config.base": "two"}, "backoff_config.base is not a number"),
    ({"azure_allow_http": "maybe"}, "azure_allow_http is not true or false: 'maybe'"),
    ({"proxy_url": f"me:{HUSH}"}, "proxy_url is not a URL"),
    ({"conditional_put": "always"}, "conditional_put is not etag or disabled"),
    ({"aws_acces_key_id": HUSH}, "'aws_acces_key_id' is no storage option"),
    ({5: "x"}, "5 is no storage option"),
    # delta-rs takes its own options without a prefix and in small letters only.
    ({"aws_max_retries": "3"}, "'aws_max_retries' is no storage option"),
    ({"RETRY_TIMEOUT": "10s"}, "'RETRY_TIMEOUT' is no storage option"),
    ({"backoff_config.base": "nan"}, "backoff_config.base is not a number"),
    ({"max_retries": "9" * 20}, "max_retries is not a whole number"),
]


@pytest.mark.parametrize("place", ["s3://bucket/lake", "/data/lake"])
@pytest.mark.parametrize(("options", "expected"), WRONG)
def test_an_option_that_no_library_takes_is_wrong_usage_and_is_named(
    place: str, options: dict[str, str], expected: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(expected)) as refused:
        open_lake(place, options)
    assert "Nothing was read or stored" in str(refused.value)
    assert "aws" not in expected or HUSH not in str(refused.value)


def test_a_setting_of_the_environment_is_refused_for_the_store_that_reads_it() -> None:
    soon = {"AWS_TIMEOUT": "soon"}
    with pytest.raises(UsageError, match="AWS_TIMEOUT is not a length of time"):
        address_of("s3://bucket/lake", {}, soon)
    # Another store does not read it, and a variable of another program is nobody's option.
    assert address_of("gs://bucket/lake", {}, soon)
    assert address_of("s3://bucket/lake", {}, {"AWS_NO_SUCH": "x", "AWS_MAX_RETRIES": "few"})


def test_options_of_the_right_kind_reach_every_library(tmp_path: Path) -> None:
    lake_of(tmp_path, instruments=[instrument("BTC-PERPETUAL")])
    options = {
        "max_retries": "3", "retry_timeout": "1m 30s", "aws_timeout": "30s", "allow_http": "TRUE",
        "backoff_config.base": "1.5", "pool_max_idle_per_host": "2", "aws_secret_access_key": HUSH,
    }  # fmt: skip
    lake = open_lake(str(tmp_path), options)
    assert lake.read(INSTRUMENTS).height == 1  # delta-rs, then Polars
    assert lake.scan("instruments").collect().height == 1
    assert lake.sql("FROM instruments").height == 1  # DuckDB
    lake.replace(lake.snapshot(INSTRUMENTS), lake.read(INSTRUMENTS), LINEAGE)
    assert lake.snapshot(INSTRUMENTS).version == 1


def test_no_representation_shows_the_options() -> None:
    lake = open_lake("memory:///lake", {"aws_secret_access_key": "hush-hush"})
    shown = [lake, address_of("s3://b/l", lake.options), lake.snapshot(INSTRUMENTS)]
    assert "hush" not in repr(shown)


def test_what_a_library_says_is_told_on_one_line_without_colours_or_secrets() -> None:
    said = "Generic S3 error\n   \x1b[31m↳\x1b[0m GET http://x?token=hush-hush\n  builder error"
    environment = {"AWS_SESSION_TOKEN": "hush-hush", "AWS_ACCESS_KEY_ID": "builder"}
    assert plain(said, environment) == (
        "Generic S3 error: GET http://x?token=(AWS_SESSION_TOKEN): builder error"
    )
    said = "error sending request for url (http://me:hush@hush@host:1/bucket/x@y)"
    assert plain(said, {}) == "error sending request for url (http://***@host:1/bucket/x@y)"


SAID = {
    "an error occurred while loading credentials: IMDS is disabled": "no credentials .*Set AWS_ACC",
    "the credential provider was not enabled: no credentials found": "no credentials .*Set AWS_ACC",
    "Generic S3 error: Missing SecretAccessKey": "only a part of the credentials .*Set AWS_ACCESS_",
    "Generic MicrosoftAzure error: Account must be specified": "only a part .*Set AZURE_STORAGE_AC",
    'Generic Config error: failed to parse "x" as Duration': "^a setting of the store .*AWS_",
    "Generic HTTP client error: builder error: relative URL": "^a setting of the store .*proxi",
    "Generic GCS error: Error performing token request: GET http://169.254.169.254/computeMetadata":
    "no credentials .*Set GOOGLE_APPLICATION_CREDENTIALS",
    "Generic S3 error: 403 Forbidden: <?xml ?>\n<Error><Code>AccessDenied</Code><Message>Denied."
    "</Message><RequestId>7</RequestId></Error>":
    r"^the store refuses the credentials: Denied. \(AccessDenied\). Its .* Check that AWS_ACC",
    "Generic S3 error: 503: <?xml ?>\n<Error><Code>SlowDown</Code><Message>Reduce your rate."
    "</Message><Resource>/b</Resource></Error>": r"503: Reduce your rate. \(SlowDown\)$",
    "Generic MicrosoftAzure error: 404: <?xml ?><Error><Code>ContainerNotFound</Code><Message>The "
    "container does not exist.</Message></Error>": "^the store has no bucket of this name, so",
}  # fmt: skip


@pytest.mark.parametrize(("said", "expected"), SAID.items())
def test_what_a_store_refuses_is_reported_with_what_to_do(said: str, expected: str) -> None:
    assert re.search(expected, plain(said, {}))
    assert "<" not in plain(said, {})
    assert "169.254" not in plain(said, {})


def test_a_proxy_on_the_way_to_a_store_that_does_not_answer_is_named() -> None:
    said = (
        "Generic S3 error: Error performing GET http://store:9000/b/x in 2s, after 10 retries - "
        "HTTP error: error sending request: client error (Connect): Connection refused"
    )
    expected = "no connection to the store at http://store:9000: Connection refused"
    assert plain(said, {}) == plain(said, {"HTTPS_PROXY": "http://p"}) == expected
    proxy = {"HTTP_PROXY": "http://me:hush-hush@proxy:1"}
    assert plain(said, proxy) == (
        f"{expected}. HTTP_PROXY sends this call through a proxy; NO_PROXY can exclude the "
        "store's host"
    )
    assert plain(said, {**proxy, "NO_PROXY": "store"}) == expected


def test_words_in_a_path_on_disk_are_no_answer_of_a_store() -> None:
    said = "Generic LocalFileSystem error: No such file: /data/NoSuchBucket/AccessDenied/IMDS"
    assert plain(said, {}) == said
