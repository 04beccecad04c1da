"""Storage options of a lake: which there are, of which kind each is, and in which words a library
takes them; pure.

delta-rs takes every option as text and ignores a name that it does not know; Polars takes some as
numbers. So a mistake is found here, before anything is read.
"""

import math
import re
from collections.abc import Callable, Mapping

from lake.errors import UsageError
from lake.location.store_errors import masked
from lake.location.urls import is_base


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Options of the client of every store, by kind, without the prefix of a store. A store's variables
# of the environment set them, too: `AWS_TIMEOUT`.
_FLAGS = _words(
    """allow_http allow_invalid_certificates http1_only http2_only http2_keep_alive_while_idle
    randomize_addresses virtual_hosted_style_request unsigned_payload imdsv1_fallback s3_express
    skip_signature disable_tagging sse_bucket_key_enabled use_emulator use_azure_cli
    use_fabric_endpoint"""
)
_DURATIONS = _words(
    """timeout connect_timeout read_timeout pool_idle_timeout http2_keep_alive_interval
    http2_keep_alive_timeout"""
)
_COUNTS = frozenset({"pool_max_idle_per_host", "http2_max_frame_size"})
# Those of delta-rs itself, which it does not take from the environment.
_RETRY_DURATIONS = frozenset(
    {"retry_timeout", "backoff_config.init_backoff", "backoff_config.max_backoff"}
)
_RETRIES = "max_retries"
_RETRY_COUNTS = frozenset({_RETRIES, "object_store_concurrency_limit"})
_RETRY_NUMBERS = frozenset({"backoff_config.base"})
_OF_DELTA = _RETRY_DURATIONS | _RETRY_COUNTS | _RETRY_NUMBERS
_URLS = frozenset({"proxy_url"})
_CONDITIONAL_PUT = frozenset({"conditional_put"})
# Names, addresses, keys and words.
_TEXTS = _words(
    """default_content_type proxy_ca_certificate proxy_excludes user_agent
    allow_unsafe_rename mount_allow_unsafe_rename s3_allow_unsafe_rename s3_locking_provider
    delta_dynamo_table_name endpoint_url_dynamodb region_dynamodb access_key_id_dynamodb
    secret_access_key_dynamodb session_token_dynamodb
    access_key_id secret_access_key region default_region bucket bucket_name endpoint endpoint_url
    endpoint_url_s3 endpoint_url_sts session_token token profile checksum_algorithm
    metadata_endpoint ec2_metadata_disabled ec2_metadata_service_endpoint
    container_credentials_relative_uri container_credentials_full_uri
    container_authorization_token_file copy_if_not_exists request_payer
    server_side_encryption sse_kms_key_id sse_customer_key_base64 storage_class
    web_identity_token_file role_arn role_session_name iam_role_arn iam_role_session_name
    s3_assume_role_arn s3_role_session_name s3_addressing_style force_credential_load
    service_account service_account_path service_account_key application_credentials base_url
    account_key access_key master_key account_name client_id client_secret tenant_id authority_id
    authority_host sas_key sas_token bearer_token scope msi_endpoint identity_endpoint object_id
    msi_resource_id federated_token_file container_name container fabric_token_service_url
    fabric_workload_host fabric_session_token fabric_cluster_identifier credential_type
    encryption_key"""
)
_PREFIXES = ("aws_", "google_", "azure_storage_", "azure_")

_MOST_DIGITS = 9
_BOOLEANS = _words("1 true on yes y 0 false off no n")
_UNIT = (
    "nsec|ns|usec|us|msec|ms|seconds|second|secs|sec|s|minutes|minute|mins|min|m|hours|hour|hrs|hr|"
    "h|days|day|d|weeks|week|wk|w|months|month|M|years|year|yr|y"
)
_DURATION = re.compile(rf"\s*0\s*|(\s*\d+(\.\d+)?\s*({_UNIT}))+\s*", re.ASCII)


def check_options(
    options: Mapping[str, object], environment: Mapping[str, str], prefix: str | None
) -> None:
    """Refuse an option that no library knows, or whose value is not of its kind.

    Args:
        options: storage options as given.
        environment: environment variables; those of the store are options, too.
        prefix: of the store's variables, such as `AWS_`; None where there are none.

    Raises:
        UsageError: it names the option, and shows no value that may be a secret.
    """
    for name, value in options.items():
        if not (isinstance(name, str) and _is_known(name)):
            raise UsageError(
                f"{name!r} is no storage option that delta-rs knows. Nothing was read or stored. "
                "See docs/operations.md for the settings of stores, and correct the name."
            )
        if not isinstance(value, str):
            raise UsageError(
                f"The storage option {name} is of the type {type(value).__name__}, and delta-rs "
                "takes text only. Nothing was read or stored. Give it as text, in quotes."
            )
        _check(f"The storage option {name}", _bare(name), value)
    if prefix:
        own = _FLAGS | _DURATIONS | _COUNTS | _URLS
        for name, text in environment.items():
            if name.startswith(prefix) and (bare := _bare(name)) in own:
                _check(name, bare, text)


def for_polars(options: Mapping[str, str]) -> dict[str, object] | None:
    """Return storage options as Polars takes them; None where there are none."""
    return {
        name: int(value) if name == _RETRIES else value for name, value in options.items()
    } or None


def _is_known(name: str) -> bool:
    """Whether delta-rs knows an option: its own have no prefix and no capitals."""
    return name in _OF_DELTA or _bare(name) in _NAMES - _OF_DELTA


def _bare(name: str) -> str:
    """The name of an option without the prefix of its store."""
    lower = name.lower()
    return next((lower.removeprefix(each) for each in _PREFIXES if lower.startswith(each)), lower)


def _check(what: str, bare: str, value: str) -> None:
    for names, is_right, kind in _KINDS:
        if bare in names and not is_right(value):
            raise UsageError(
                f"{what} is not {kind}: {masked(value)!r}. Nothing was read or stored. Correct "
                "it, or leave it out."
            )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


_KINDS: tuple[tuple[frozenset[str], Callable[[str], object], str], ...] = (
    (_FLAGS, lambda text: text.lower() in _BOOLEANS, "true or false"),
    (
        _DURATIONS | _RETRY_DURATIONS,
        _DURATION.fullmatch,
        "a length of time like 30s or 2m",
    ),
    (
        _COUNTS | _RETRY_COUNTS,
        lambda text: text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS,
        "a whole number",
    ),
    (_RETRY_NUMBERS, _is_number, "a number"),
    (_URLS, lambda text: "://" in text and is_base(text), "a URL like http://HOST:PORT"),
    (_CONDITIONAL_PUT, lambda text: text in {"etag", "disabled"}, "etag or disabled"),
)
_NAMES = _TEXTS.union(*(names for names, _, _ in _KINDS))
