"""The command `basislake`: its verbs, and what an error or an interruption looks like."""

import signal
import sys

import click

from basislake import __version__
from basislake.output import say
from basislake.verbs import (
    backup,
    curve,
    demo,
    exchange,
    explain,
    health,
    ingest,
    maintain,
    query,
    report,
    run,
    versions,
)
from lake.errors import BasislakeError, UsageError

_FAILED = 1
_USAGE = 2
_INTERRUPTED = 1


@click.group(
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    }
)
@click.version_option(__version__, prog_name="basislake")
def basislake() -> None:
    """Deribit futures in a lake you can trust: every dated BTC and ETH future and the two
    perpetuals, minute by minute, validated, with the basis of each, in Parquet and PostgreSQL.

    \b
    Try it offline, against a simulated exchange:
        basislake demo
    The real thing, resumable at any moment:
        basislake run

    Results go to stdout, everything else to stderr. Exit codes: 0 all done, 1 something failed or
    is incomplete (named; the rest is saved and a rerun resumes), 2 wrong usage.
    """


for verb in (
    ingest.instruments,
    ingest.plan,
    ingest.backfill,
    run.build,
    run.load,
    run.run,
    query.status,
    report.report,
    explain.explain,
    versions.fingerprint,
    versions.diff,
    query.sql,
    curve.curve,
    health.health,
    maintain.maintain,
    backup.backup,
    backup.restore,
    demo.demo,
    exchange.exchange,
):
    basislake.add_command(verb)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with its code."""
    # A polite end closes what is open, such as the embedded PostgreSQL.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = basislake.main(arguments, standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except (click.Abort, KeyboardInterrupt):
        say("Interrupted. What was committed is safe; the same command resumes.")
        sys.exit(_INTERRUPTED)
    except UsageError as exc:
        say(f"Error: {exc}")
        sys.exit(_USAGE)
    except BasislakeError as exc:
        say(f"Error: {exc}")
        sys.exit(_FAILED)
    except OSError as exc:
        say(f"Error: {exc}. What was committed is safe; the same command resumes.")
        sys.exit(_FAILED)
    sys.exit(code if isinstance(code, int) else 0)
