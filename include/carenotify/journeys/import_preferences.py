"""Take over patients' wishes from a CSV file of the hospital's own system."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

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
    wishes: dict[str, Preferences] = {}
    for line, row in _rows(lines):
        patient_id = _word(row, "patient_id", line)
        if not patient_id:
            raise PreferencesFileError(f"line {line}: patient_id is empty")
        if patient_id in wishes:
            raise PreferencesFileError(f"line {line}: patient {patient_id} is there twice")
        wishes[patient_id] = _preferences(row, line)
    with database.transaction() as transaction:
        return len(wishes), preferences.upsert(transaction, wishes)


def _rows(lines: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row that is not empty by its column names, with the number of its last line."""
    reader = csv.reader(lines)
    try:
        head = next(reader, [])
        missing = set(COLUMNS) - set(head)
        if missing:
            raise PreferencesFileError(f"the first line lacks the columns {', '.join(sorted(missing))}")
        for fields in filter(None, reader):
            # A row that is cut short could hide an opt-out, and one that is too long has something in a wrong column.
            if len(fields) != len(head):
                place = f"line {reader.line_num}"
                raise PreferencesFileError(f"{place}: holds {len(fields)} fields where the first line has {len(head)}")
            yield reader.line_num, dict(zip(head, fields, strict=True))
    except csv.Error as error:
        raise PreferencesFileError(f"line {reader.line_num}: {error}") from error
    except UnicodeDecodeError:
        raise PreferencesFileError(f"the text after line {reader.line_num} is not UTF-8") from None


def _preferences(row: dict[str, str], line: int) -> Preferences:
    return Preferences(
        channels=tuple(_channels(row, "channels", line)),
        language=_word(row, "language", line) or None,
        opted_out_channels=frozenset(_channels(row, "opted_out_channels", line)),
        opted_out_kinds=frozenset(_known(row, "opted_out_kinds", line, known={*KINDS, EVERY_KIND})),
    )


def _word(row: dict[str, str], column: str, line: int) -> str:
    word = row[column].strip()
    if "\0" in word:
        raise PreferencesFileError(f"line {line}: {column} holds characters that cannot be written")
    return word


def _channels(row: dict[str, str], column: str, line: int) -> list[Channel]:
    return [Channel(name) for name in _known(row, column, line, known=set(Channel))]


def _known(row: dict[str, str], column: str, line: int, *, known: Iterable[str]) -> list[str]:
    """The column's words. What it holds instead is not repeated: it may be a name or a number from elsewhere."""
    words = [word.strip() for word in row[column].split(";") if word.strip()]
    if not set(words) <= set(known):
        place = f"line {line}: {column}"
        raise PreferencesFileError(f"{place} holds a word that is not known; known are {', '.join(sorted(known))}")
    return words
