"""Additions to click's shell completion."""

from typing import ClassVar

from click.shell_completion import BashComplete


class Bash(BashComplete):
    """Completion in bash. bash ends a word at `@`, so it would never complete @curve; and it splits
    `--lake=./demo` into three words.
    """

    source_template: ClassVar[str] = (
        f"{BashComplete.source_template.strip()}\nCOMP_WORDBREAKS=${{COMP_WORDBREAKS//@}}\n"
    )

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words before the cursor, without any `=`, and the word at the cursor."""
        words, incomplete = super().get_completion_args()
        return [word for word in words if word != "="], incomplete
