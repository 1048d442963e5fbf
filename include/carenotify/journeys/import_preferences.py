"""Take over patients' wishes from a CSV file of the hospital's own system."""

from __future__ import annotations

import csv
from collections.abc import Iterable

from carenotify.domain.kinds import KINDS
from carenotify.domain.notification import Channel
from carenotify.domain.patient import Preferences
from carenotify.errors import PreferencesFileError
from carenotify.storage import preferences
from carenotify.storage.database import Database

COLUMNS = ("patient_id", "channels", "language", "opted_out_channels", "opted_out_kinds")
EVERY_KIND = "*"


def import_preferences(lines: Iterable[str], *, database: Database) -> tuple[int, int]:
    """Store every row of a CSV with the columns of COLUMNS; lists are separated by semicolons.

    Returns how many rows were read and how many changed something. Raises PreferencesFileError naming the place when
    any row is wrong; nothing is stored then.
    """
    reader = csv.DictReader(lines)
    missing = set(COLUMNS) - set(reader.fieldnames or ())
    if missing:
        raise PreferencesFileError(f"the first line lacks the columns {', '.join(sorted(missing))}")
    wishes: dict[str, Preferences] = {}
    for row in reader:
        patient_id = (row["patient_id"] or "").strip()
        if not patient_id:
            raise PreferencesFileError(f"line {reader.line_num}: patient_id is empty")
        if patient_id in wishes:
            raise PreferencesFileError(f"line {reader.line_num}: patient {patient_id} is there twice")
        wishes[patient_id] = _preferences(row, reader.line_num)
    with database.transaction() as transaction:
        return len(wishes), preferences.upsert(transaction, wishes)


def _preferences(row: dict[str, str | None], line: int) -> Preferences:
    return Preferences(
        channels=tuple(_channels(row, "channels", line)),
        language=(row["language"] or "").strip() or None,
        opted_out_channels=frozenset(_channels(row, "opted_out_channels", line)),
        opted_out_kinds=frozenset(_known(row, "opted_out_kinds", line, known={*KINDS, EVERY_KIND})),
    )


def _channels(row: dict[str, str | None], column: str, line: int) -> list[Channel]:
    return [Channel(name) for name in _known(row, column, line, known=set(Channel))]


def _known(row: dict[str, str | None], column: str, line: int, *, known: Iterable[str]) -> list[str]:
    words = [word.strip() for word in (row[column] or "").split(";") if word.strip()]
    for word in words:
        if word not in known:
            raise PreferencesFileError(f"line {line}: {column} holds {word!r}; known are {', '.join(sorted(known))}")
    return words
