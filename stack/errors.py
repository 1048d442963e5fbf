"""What goes wrong while the stack is installed, started or stopped."""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot go on. The text is one line for the person at the terminal: what is wrong and what to do."""
