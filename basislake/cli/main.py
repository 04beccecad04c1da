"""The command `basislake`: its verbs, exit codes, and output of errors and interruptions."""

import io
import os
import shlex
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem, add_completion_class

from basislake import __version__
from basislake.cli.completion import Bash
from basislake.cli.signals import (
    READER_GONE,
    Interruptions,
    discard_output,
    is_reader_gone,
    open_closed_streams,
)
from basislake.output.json_output import print_json
from basislake.output.pasting import called
from basislake.output.screen import SCREEN, say
from lake.errors import BasislakeError, UnreachableError, UsageError

EXIT_CODES: Mapping[int, str] = {
    0: "all done",
    1: "something failed or is incomplete (the message says what; everything else is saved; run "
    "the same command again to continue)",
    2: "wrong usage: nothing was done",
    130: "interrupted by Ctrl-C (129 by SIGHUP, 143 by SIGTERM): committed data is safe; `follow` "
    "ends with 0 instead",
    141: "the program that reads the output ended first, as `head` does",
}
_FAILED = 1
_USAGE = 2

# Advice if the exchange cannot be reached.
_UNREACHABLE = (
    "Check the network, and the proxy (HTTPS_PROXY) if you use one; BASISLAKE_EXCHANGE_URL "
    "and BASISLAKE_HISTORY_URL set other addresses. Stored data needs no network: try for example "
    "`basislake instruments --offline`; `basislake exchange` serves a simulated exchange."
)
_SAFE = "What was committed is safe; the same command does what is left."
# Verbs that run for long; in a log they begin with a line.
_LONG = ("run", "follow", "backfill", "build", "load", "maintain")
# Verbs that commit in steps, so that the same command resumes after an interruption.
_COMMITTING = (*_LONG, "instruments", "demo", "backup", "restore")
# A command line with one of these may contain a password, so it is not repeated.
_MAYBE_SECRET = ("@", "password")

# The verbs and what each does, in the order in which a user needs them. Each is a module of
# `basislake.cli.commands`, imported when the verb is called or its help is shown.
_SECTIONS: Mapping[str, Mapping[str, str]] = {
    "See it work, offline": {"demo": "Run the whole pipeline on simulated data"},
    "Fetch, validate, load": {
        "run": "Discover, backfill, build, load and report",
        "follow": "Keep the lake current, minute by minute",
        "scope": "Show or set which data the lake should contain",
        "instruments": "Discover, store and list every instrument",
        "plan": "Show what a backfill would fetch",
        "backfill": "Fetch what the lake lacks: candles, funding, settlements",
        "build": "Validate everything and compute the basis",
        "load": "Load the curated tables into PostgreSQL",
    },
    "Look and query": {
        "status": "Show what is stored, missing, running or failed",
        "report": "Write an HTML page about lake and database",
        "sql": "Query the lake's tables and views in SQL (DuckDB)",
        "curve": "Show the basis by expiry at one time",
        "carry": "Show basis, funding and open interest",
        "explain": "Show how one number was computed",
    },
    "Verify and compare": {
        "fingerprint": "Print sha256 digests of the lake's content",
        "diff": "Show what differs between two batches",
    },
    "Operate": {
        "health": "Exit with 1 if data is old or something failed",
        "doctor": "Check this machine and the exchange",
        "maintain": "Compact, checkpoint and clean up the lake",
        "backup": "Copy the lake to another folder or store",
        "restore": "Restore a backup",
    },
    "Tools": {
        "exchange": "Serve a simulated Deribit",
        "completion": "Print the shell completion script",
    },
}
_SUMMARIES = {name: text for verbs in _SECTIONS.values() for name, text in verbs.items()}


class _Interrupted(BaseException):
    """A verb was interrupted by a signal."""


class _Verbs(click.Group):
    """A group that imports a verb only when it is called, and lists all verbs without imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's)
        return list(_SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _SUMMARIES:
            return None
        module = import_module(f"basislake.cli.commands.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        command.short_help = _SUMMARIES[cmd_name]
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as exc:
            if is_reader_gone():
                raise
            raise OSError(str(exc)) from exc  # click would mistake it for a closed stdout
        except KeyboardInterrupt as exc:
            raise _Interrupted from exc  # click would write an empty line

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, verbs in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(verbs.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        verbs = [
            CompletionItem(name, help=text)
            for name, text in _SUMMARIES.items()
            if name.startswith(incomplete)
        ]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)


@click.group(
    cls=_Verbs,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
)
@click.version_option(__version__, prog_name="basislake")
def basislake() -> None:
    """Collects Deribit's BTC and ETH futures: validated minute candles, basis, funding and
    settlements, in Parquet files and in PostgreSQL.

    \b
    Try it offline, against a simulated exchange:
        basislake demo
    Fetch the real market; you can interrupt and restart this at any moment:
        basislake run
    Or begin with one future, and look at the result:
        basislake run --instruments BTC-29MAR24
        basislake status

    `basislake VERB --help` explains a verb, with examples. A window is the time span of one call. A
    batch is one numbered commit of fetched data. Results go to stdout, everything else to stderr.
    Exit codes: 0 all done; 1 something failed or is incomplete (the message says what; everything
    else is saved; run the same command again to continue); 2 wrong usage; 130 interrupted by
    Ctrl-C, 129 by SIGHUP, 143 by SIGTERM (committed data is safe; `follow` ends with 0 instead);
    141 the program that reads the output ended first, as `head` does.
    """


add_completion_class(Bash)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with its code. An error is shown on stderr, and with --json also as
    an object on stdout.
    """
    open_closed_streams()
    interruptions = Interruptions()
    interruptions.listen()
    given = sys.argv[1:] if arguments is None else arguments
    if SCREEN.is_log and given and given[0] in _LONG and not _asks_help(given):
        say(f"basislake {__version__} {given[0]} begins, process {os.getpid()}.")
    try:
        code = _run(given, interruptions)
    except (BrokenPipeError, SystemExit):
        # click exits when a pipe breaks.
        if not is_reader_gone():
            raise
        code = READER_GONE
    with suppress(OSError):
        SCREEN.end()
    discard_output()
    sys.exit(code)


def _run(given: list[str], interruptions: Interruptions) -> int:
    try:
        _check_text(given)
        code = basislake.main(given, prog_name="basislake", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as exc:
        _show(exc)
        return _ended(exc.exit_code, exc.format_message(), given)
    except (_Interrupted, click.Abort, KeyboardInterrupt) as exc:
        notes = getattr(exc.__cause__ or exc, "__notes__", ())
        message = " ".join(["Interrupted.", *what_goes_on(given), *notes])
        SCREEN.interrupt()
        say(message)
        return _ended(interruptions.exit_code, message, given)
    except UsageError as exc:
        say(f"Error: {exc}")
        return _ended(_USAGE, str(exc), given)
    except BasislakeError as exc:
        say(f"Error: {exc}")
        if isinstance(exc, UnreachableError):
            say(_UNREACHABLE)
        return _ended(_FAILED, str(exc), given)
    except BaseException as exc:
        message = _of_machine(exc)
        if not message:
            raise
        say(f"Error: {message}")
        return _ended(_FAILED, message, given)
    return code if isinstance(code, int) else 0


def _show(error: click.ClickException) -> None:
    """Show click's message about wrong usage, line by line; a log gets no empty lines."""
    text = io.StringIO()
    error.show(file=text)
    for line in text.getvalue().splitlines():
        if line or not SCREEN.is_log:
            say(line)


def _asks_help(given: Collection[str]) -> bool:
    return not {"-h", "--help"}.isdisjoint(given)


def what_goes_on(given: Sequence[str]) -> tuple[str, ...]:
    """What is safe and which command resumes, for a verb that commits; empty for other verbs."""
    if not given or given[0] not in _COMMITTING:
        return ()
    line = shlex.join(given)
    if any(word in line for word in _MAYBE_SECRET):
        return ("What was committed is safe; the same command resumes.",)
    return (f"What was committed is safe; `{called()} {line}` resumes.",)


def _of_machine(error: BaseException) -> str:
    """Return a message if the machine lacks disk, memory or threads; empty for other errors.

    Libraries in Rust raise a panic, and each library has a class of its own for that.
    """
    if isinstance(error, OSError):
        return "" if isinstance(error, BrokenPipeError) else f"{error}. {_SAFE}"
    is_thread = isinstance(error, RuntimeError) and "start new thread" in str(error)
    is_panic = type(error).__name__ == "PanicException" and "Resource temporarily" in str(error)
    if not (isinstance(error, MemoryError) or is_thread or is_panic):
        return ""
    return (
        f"The machine has too few resources: {error or 'no more memory'}. {_SAFE} If `ulimit -a` "
        "or a container limits memory or threads, allow more."
    )


def _ended(code: int, message: str, arguments: Collection[str]) -> int:
    if "--json" in arguments:
        # The reader of stdout may have ended.
        with suppress(OSError):
            print_json({"error": message, "exit_code": code})
    return code


def _check_text(arguments: Iterable[str]) -> None:
    """Refuse arguments and settings with bytes that are not text in UTF-8.

    Raises:
        UsageError: the message names the first of them.
    """
    settings = {name: text for name, text in os.environ.items() if name.startswith("BASISLAKE_")}
    for name, text in [*(("an argument", text) for text in arguments), *settings.items()]:
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise UsageError(f"{text!r}, {name}, is not text in UTF-8.") from exc
