"""docs/settings.md and what the code reads are in step."""

from __future__ import annotations

import re
from pathlib import Path

from carenotify.config import PREFIX, Settings
from stack.settings import _FOR_THE_STACK

TEXT = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
ROWS = dict(re.findall(r"^\| `((?:CARENOTIFY|CARESTACK)_\w+)` \| ([^|]+?) \|", TEXT, re.MULTILINE))
FIELDS = {PREFIX + name.upper(): field for name, field in Settings.model_fields.items()}


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert ROWS.keys() == FIELDS.keys() | _FOR_THE_STACK


def test_the_stacks_own_variables_do_not_look_like_settings() -> None:
    """The command line refuses what begins with the prefix and is no setting."""
    assert not [name for name in _FOR_THE_STACK if name.startswith(PREFIX)]


def test_what_is_said_to_be_required_is_required() -> None:
    assert {name for name, default in ROWS.items() if default == "required"} == {
        name for name, field in FIELDS.items() if field.is_required()
    }


def test_the_numbers_that_are_given_as_defaults_are_the_defaults() -> None:
    for name, field in FIELDS.items():
        if isinstance(field.default, int | float) and not isinstance(field.default, bool):
            assert ROWS[name] == f"`{field.default:g}`", name
        elif isinstance(field.default, str) and field.default:
            assert ROWS[name] == f"`{field.default}`", name
