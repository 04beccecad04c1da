"""Where the program starts: `basislake`, or `python -m basislake`."""

import sys


def main() -> None:
    """Run the command, and end in peace where Ctrl-C comes while it is still being loaded."""
    try:
        from basislake.cli import main as run  # noqa: PLC0415  (takes a moment)
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted. Nothing was done.\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
