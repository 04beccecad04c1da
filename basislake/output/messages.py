"""Messages to people, on stderr."""

from basislake.output.screen import SCREEN


def say(message: str) -> None:
    """Show a message that is not a result, on stderr; see `basislake.output.screen`."""
    SCREEN.say(message)
