"""Wishes from a CSV file: taken over whole, or not at all and with the place that is wrong."""

from __future__ import annotations

from io import StringIO

import pytest

from carenotify.app import App
from carenotify.domain.kinds import KINDS
from carenotify.domain.notification import Channel
from carenotify.domain.patient import Preferences
from carenotify.errors import PreferencesFileError
from carenotify.journeys.import_preferences import COLUMNS, import_preferences
from carenotify.storage import preferences
from tests.integration.ward import Hospital

HEAD = ",".join(COLUMNS)
GOOD = "anna,sms;email,de,,"


def load(app: App, *rows: str, head: str = HEAD) -> tuple[int, int]:
    file = StringIO("".join(f"{line}\n" for line in (head, *rows)), newline="")
    return import_preferences(file, database=app.database)


def stored(hospital: Hospital) -> list[tuple[object, ...]]:
    return hospital.query(
        "SELECT patient_id, channels, language, opted_out_channels, opted_out_kinds FROM preferences ORDER BY 1"
    )


def test_every_row_is_stored_as_it_was_wished(app: App, hospital: Hospital) -> None:
    read = load(app, GOOD, "berta, email , ,sms,reminder", '"c,d",,,"sms;email",*', "")
    assert read == (3, 3)
    assert stored(hospital) == [
        ("anna", ["sms", "email"], "de", [], []),
        ("berta", ["email"], None, ["sms"], ["reminder"]),
        ("c,d", [], None, ["email", "sms"], ["*"]),
    ]


def test_the_same_file_again_changes_nothing(app: App, hospital: Hospital) -> None:
    load(app, GOOD, "berta,,,sms,")
    assert load(app, GOOD, "berta,,,sms,") == (2, 0)
    assert load(app, GOOD, "berta,,,,") == (2, 1)
    assert [row[3] for row in stored(hospital)] == [[], []]


def test_patients_who_are_not_in_the_file_keep_what_they_wished(app: App, hospital: Hospital) -> None:
    load(app, GOOD)
    load(app, "berta,,,sms,")
    assert [row[0] for row in stored(hospital)] == ["anna", "berta"]


def test_columns_may_come_in_another_order_and_with_others(app: App, hospital: Hospital) -> None:
    load(app, ",,anna,x,sms,", head="language,opted_out_kinds,patient_id,remark,channels,opted_out_channels")
    assert stored(hospital) == [("anna", ["sms"], None, [], [])]


def test_an_empty_list_of_wishes_is_none(app: App) -> None:
    assert load(app) == (0, 0)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (",sms,de,,", "line 3: patient_id is empty"),
        ("  ,sms,de,,", "line 3: patient_id is empty"),
        ("anna,,,,", "line 3: patient anna is there twice"),
        ("berta,fax,,,", "line 3: channels holds a word that is not known; known are email, sms"),
        ("berta,,,SMS,", "line 3: opted_out_channels holds a word that is not known; known are email, sms"),
        (
            "berta,,,,reminders",
            f"line 3: opted_out_kinds holds a word that is not known; known are {', '.join(sorted({'*', *KINDS}))}",
        ),
        ("berta,sms,email,,,", "line 3: holds 6 fields where the first line has 5"),
        ("berta,sms", "line 3: holds 2 fields where the first line has 5"),
        ("be\0rta,sms,,,", "line 3: patient_id holds characters that cannot be written"),
        ("berta,sms,d\0e,,", "line 3: language holds characters that cannot be written"),
    ],
)
def test_a_wrong_row_is_named_by_line_and_column_and_nothing_is_stored(
    app: App, hospital: Hospital, row: str, said: str
) -> None:
    with pytest.raises(PreferencesFileError) as caught:
        load(app, GOOD, row, "dora,,,,")
    assert str(caught.value) == said
    assert stored(hospital) == []


def test_a_line_is_counted_as_an_editor_counts_it(app: App) -> None:
    with pytest.raises(PreferencesFileError, match="line 5: "):
        load(app, '"an\nna",sms,,,', "", "berta,fax,,,")


def test_columns_that_are_missing_are_named(app: App, hospital: Hospital) -> None:
    with pytest.raises(PreferencesFileError, match="the first line lacks the columns language, opted_out_kinds"):
        load(app, "anna,sms,", head="patient_id,channels,opted_out_channels")
    with pytest.raises(PreferencesFileError, match="the first line lacks the columns"):
        import_preferences([], database=app.database)
    assert stored(hospital) == []


def test_a_field_that_never_ends_is_refused(app: App) -> None:
    with pytest.raises(PreferencesFileError, match="line 2: "):
        load(app, f"anna,{'x' * 200_000},,,")


def test_a_complaint_does_not_repeat_what_stands_in_the_file(app: App) -> None:
    with pytest.raises(PreferencesFileError) as caught:
        load(app, "anna,+4915112345678,,,")
    assert "4915112345678" not in str(caught.value)


def test_a_wish_that_was_taken_over_is_what_plans_are_made_with(app: App, hospital: Hospital) -> None:
    wish = Preferences((Channel.EMAIL,), "tr", frozenset({Channel.SMS}), frozenset())
    with app.database.transaction() as transaction:
        assert preferences.upsert(transaction, {"anna": wish}) == 1
    assert stored(hospital) == [("anna", ["email"], "tr", ["sms"], [])]
