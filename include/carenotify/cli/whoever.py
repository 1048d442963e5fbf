"""Who runs a command, for the audit log."""

from __future__ import annotations

import getpass


def whoever() -> str:
    """The system user as the audit log names it."""
    return f"command:{getpass.getuser()}"
