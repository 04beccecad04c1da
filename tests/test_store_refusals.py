"""Object stores that cannot be used: each is refused in one message, without a secret."""

import os
from pathlib import Path

import pytest

from tests.market import basislake
from tests.object_store import SECRET, ObjectStore
from tests.tiers import slow_but

AWAY = "http://127.0.0.1:9"


REFUSED: dict[str, tuple[str, dict[str, str | None], int, str]] = {
    "no bucket": ("none", {}, 1, "the store has no bucket of this name, so nothing was read"),
    "no credentials": (
        "bucket",
        {
            "AWS_ACCESS_KEY_ID": None,
            "AWS_SECRET_ACCESS_KEY": None,
            # A machine of no cloud, where nothing answers at the address of a cloud's metadata.
            "AWS_METADATA_ENDPOINT": AWAY,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": AWAY,
        },
        1,
        "and no role of this machine gives any, so nothing was read or stored. Set AWS_ACCESS",
    ),
    "half of them": (
        "bucket",
        {"AWS_SECRET_ACCESS_KEY": None},
        1,
        "only a part of the credentials",
    ),
    "no TLS": ("bucket", {"AWS_ALLOW_HTTP": None}, 2, "Set AWS_ALLOW_HTTP=true to use it"),
    "garbage": (
        "bucket",
        {"AWS_ENDPOINT_URL": "garbage"},
        2,
        "AWS_ENDPOINT_URL is not the http or https URL of an object store: 'garbage'",
    ),
    "a password": (
        "bucket",
        {"AWS_ENDPOINT_URL": f"http://me:{SECRET}@127.0.0.1:9"},
        2,
        "AWS_ENDPOINT_URL holds a user name or a password. Nothing was read or stored.",
    ),
    "nobody": (
        "bucket",
        {"AWS_ENDPOINT_URL": AWAY, "HTTP_PROXY": f"http://me:{SECRET}@127.0.0.1:9"},
        1,
        f"no connection to the store at {AWAY}: tcp connect error: Connection refused",
    ),
}


@pytest.mark.parametrize("case", slow_but(set(REFUSED) - {"nobody", "no credentials"}, REFUSED))
def test_a_store_that_cannot_be_used_is_refused_in_a_sentence_without_a_secret(
    object_store: ObjectStore, tmp_path: Path, case: str
) -> None:
    bucket, settings, code, expected = REFUSED[case]
    given = {**object_store.environment(tmp_path), **settings}
    uri = f"s3://{bucket}/lake"
    env = {name: text for name, text in given.items() if text is not None}
    done = basislake(None, "status", "--lake", uri, env=env)
    assert (done.code, done.out) == (code, ""), done.err
    assert expected in done.err
    assert len(done.err.splitlines()) == 1, done.err
    assert not [word for word in (SECRET, "<", "panicked", "/latest/") if word in done.err]


VERBS = """run; follow; instruments; plan; backfill; build; load; status; report; curve; demo;
    health; fingerprint; diff 0; maintain; sql SELECT; explain BTC-5APR24 2024-04-05; backup ./copy;
    restore ./copy"""


@pytest.mark.parametrize("verb", VERBS.split(";"))
def test_every_verb_refuses_an_endpoint_that_is_none_before_it_does_anything(verb: str) -> None:
    env = {**os.environ, "AWS_ENDPOINT_URL": "garbage"}
    done = basislake(None, *verb.split(), "--lake", "s3://bucket/lake", env=env)
    assert (done.code, done.out) == (2, "")
    assert "AWS_ENDPOINT_URL is not the http or https URL of an object store" in done.err
