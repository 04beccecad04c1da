"""The command `basislake`: its verbs, and what an error or an interruption looks like."""

import os
import signal
import sys
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress

import click

from basislake import __version__
from basislake.output import print_json, say
from basislake.settings import UNREACHABLE
from basislake.verbs import (
    backup,
    completion,
    curve,
    demo,
    exchange,
    explain,
    follow,
    health,
    ingest,
    maintain,
    query,
    report,
    run,
    versions,
)
from lake.errors import BasislakeError, UnreachableError, UsageError

EXIT_CODES: Mapping[int, str] = {
    0: "all done",
    1: "something failed or is incomplete: it is named, the rest is saved, a rerun resumes",
    2: "wrong usage: nothing was done",
}
_FAILED = 1
_USAGE = 2
_INTERRUPTED = 1

_SAFE = "What was committed is safe; the same command does what is left."

_SECTIONS: Mapping[str, tuple[click.Command, ...]] = {
    "See it work, offline": (demo.demo,),
    "Fetch, validate, load": (
        run.run,
        follow.follow,
        ingest.instruments,
        ingest.plan,
        ingest.backfill,
        run.build,
        run.load,
    ),
    "Look and ask": (query.status, report.report, query.sql, curve.curve, explain.explain),
    "Prove and compare": (versions.fingerprint, versions.diff),
    "Keep it for good": (health.health, maintain.maintain, backup.backup, backup.restore),
    "Around it": (exchange.exchange, completion.completion),
}


class _Verbs(click.Group):
    """A group whose help lists its verbs in the order they are met, in sections."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's)
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(str(c.name), c.get_short_help_str()) for c in commands])


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
    """Deribit futures in a lake you can trust: every dated BTC and ETH future and the two
    perpetuals, minute by minute, validated, with the basis of each, in Parquet and PostgreSQL.

    \b
    Try it offline, against a simulated exchange:
        basislake demo
    The real thing, to be killed and started again at any moment:
        basislake run
    One future to begin with, and what came of it:
        basislake run --instruments BTC-29MAR24
        basislake status

    `basislake VERB --help` tells all of a verb, with examples. Results go to stdout, everything
    else to stderr. Exit codes: 0 all done, 1 something failed or is incomplete (named; the rest is
    saved and a rerun resumes), 2 wrong usage.
    """


for verbs in _SECTIONS.values():
    for verb in verbs:
        basislake.add_command(verb)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with its code; what ends it early is told on stderr, and as a JSON
    object on stdout where --json was given.
    """
    # A polite end closes what is open, such as the embedded PostgreSQL.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    given = sys.argv[1:] if arguments is None else arguments
    try:
        _check_text(given)
        code = basislake.main(given, standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        code = _ended(exc.exit_code, exc.format_message(), given)
    except (click.Abort, KeyboardInterrupt):
        told = f"Interrupted. {_SAFE}"
        say(told)
        code = _ended(_INTERRUPTED, told, given)
    except UsageError as exc:
        say(f"Error: {exc}")
        code = _ended(_USAGE, str(exc), given)
    except BasislakeError as exc:
        say(f"Error: {exc}")
        if isinstance(exc, UnreachableError):
            say(UNREACHABLE)
        code = _ended(_FAILED, str(exc), given)
    except OSError as exc:
        told = f"{exc}. {_SAFE}"
        say(f"Error: {told}")
        code = _ended(_FAILED, told, given)
    sys.exit(code if isinstance(code, int) else 0)


def _ended(code: int, told: str, arguments: Collection[str]) -> int:
    if "--json" in arguments:
        # The reader may be what went away.
        with suppress(OSError):
            print_json({"error": told, "exit_code": code})
    return code


def _check_text(arguments: Iterable[str]) -> None:
    """Refuse arguments and settings that no library takes: bytes that are not text in UTF-8.

    Raises:
        UsageError: it names the first such.
    """
    settings = {name: text for name, text in os.environ.items() if name.startswith("BASISLAKE_")}
    for name, text in [*(("an argument", text) for text in arguments), *settings.items()]:
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            raise UsageError(f"{text!r}, {name}, is not text in UTF-8.") from exc
