"""Refusals of calls, and the parsing of parameters."""

from collections.abc import Mapping

from basislake.simulator.envelope import INVALID_PARAMS

# Answer of the host of expired instruments to methods that only the main host serves.
NOT_SERVED = 13025


class RpcError(Exception):
    """A call that the exchange refuses.

    Attributes:
        code: JSON-RPC's or Deribit's error code.
        message: its short name.
        data: what is wrong with the call, in the exchange's words.
    """

    def __init__(self, code: int, message: str, data: Mapping[str, str] | None = None) -> None:
        """Name the error."""
        super().__init__(f"{code} {message} {data or ''}".strip())
        self.code = code
        self.message = message
        self.data = data


def bad(reason: str, param: str) -> RpcError:
    """Return the refusal of a parameter."""
    return RpcError(INVALID_PARAMS, "Invalid params", {"reason": reason, "param": param})


def text_param(params: Mapping[str, str], name: str) -> str:
    """Return a parameter.

    Raises:
        RpcError: it is absent.
    """
    value = params.get(name)
    if not value:
        raise bad("value is required", name)
    return value


def whole_param(params: Mapping[str, str], name: str) -> int:
    """Return a parameter that is a whole number, such as a time in milliseconds.

    Raises:
        RpcError: it is absent or not a whole number.
    """
    value = text_param(params, name)
    if not (value.isascii() and value.isdecimal()):
        raise bad("wrong format", name)
    return int(value)
