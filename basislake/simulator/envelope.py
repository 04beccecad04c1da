"""JSON-RPC envelopes of results and errors, as bytes."""

import orjson

INVALID_PARAMS = -32602
METHOD_NOT_FOUND = -32601

_SPENT_US = 500


def success(result: object, now_ms: int) -> bytes:
    """Return a reply with a result.

    Args:
        result: any JSON value.
        now_ms: the exchange's clock, UTC milliseconds, for `usOut`.
    """
    return b"".join(success_parts(orjson.dumps(result), now_ms))


def success_parts(result: bytes, now_ms: int) -> tuple[bytes, bytes, bytes]:
    """Return a reply with a result that is JSON already, in three parts.

    Args:
        result: JSON.
        now_ms: the exchange's clock, UTC milliseconds, for `usOut`.
    """
    return b'{"jsonrpc":"2.0","result":', result, b"," + orjson.dumps(_tail(now_ms))[1:]


def failure(code: int, message: str, now_ms: int, data: object = None) -> bytes:
    """Return a reply with an error.

    Args:
        code: JSON-RPC's or Deribit's error code.
        message: its short name.
        now_ms: the exchange's clock, UTC milliseconds.
        data: details of the error, left out if None.
    """
    error: dict[str, object] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return orjson.dumps({"jsonrpc": "2.0", "error": error} | _tail(now_ms))


def _tail(now_ms: int) -> dict[str, object]:
    out = now_ms * 1000
    return {"usIn": out - _SPENT_US, "usOut": out, "usDiff": _SPENT_US, "testnet": False}
