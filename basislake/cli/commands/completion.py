"""The command `completion`: prints the script for completion with Tab in a shell."""

import click
from click.shell_completion import get_completion_class

from basislake.cli.options import json_option
from basislake.output.json_output import print_json

NAME = "basislake"


@click.command
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
@click.pass_context
def completion(context: click.Context, shell: str, *, as_json: bool) -> int:
    """Print a script that makes a shell complete verbs, options, instruments, coins, paths and
    example queries with Tab.

    Instrument names come from the lake that --lake names earlier on the line, else from
    BASISLAKE_LAKE, else from ./lake-data.

    `basislake` must be on the PATH. For completion in every session, add the line for your shell to
    the file that it reads at start: ~/.bashrc, ~/.zshrc (after compinit) or
    ~/.config/fish/config.fish.

    \b
    Example:
        eval "$(basislake completion bash)"
        eval "$(basislake completion zsh)"
        basislake completion fish | source
    """
    made_by = get_completion_class(shell)
    assert made_by is not None  # noqa: S101  (the choice holds only shells that click knows)
    made = made_by(context.find_root().command, {}, NAME, f"_{NAME.upper()}_COMPLETE")
    # Not `source()`: it starts the bash of this machine to look at its version.
    script = f"{(made.source_template % made.source_vars()).strip()}\n"
    if as_json:
        print_json({"shell": shell, "script": script})
    else:
        click.echo(script, nl=False)
    return 0
