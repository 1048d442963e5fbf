"""Wordings come with the package; what is stored is never changed, only added to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import pytest

from carenotify.app import App
from carenotify.domain.wording import TemplateVersion
from carenotify.errors import WordingError
from carenotify.journeys import seed_templates as journey
from carenotify.templates import load_template_files
from tests.integration.ward import Hospital


def changed(templates: list[TemplateVersion], text: str) -> list[TemplateVersion]:
    """The English text of SMS reminders, otherwise worded."""
    chosen = ("reminder", "sms", "en")
    return [replace(one, text=text) if (one.code, one.channel, one.language) == chosen else one for one in templates]


def versions(hospital: Hospital) -> list[tuple[object, ...]]:
    return hospital.query("SELECT version, count(*)::int FROM template_versions GROUP BY 1 ORDER BY 1")


def test_every_file_is_stored_once(app: App, hospital: Hospital) -> None:
    files = len(load_template_files())
    assert versions(hospital) == [(1, files)]
    assert app.seed_templates() == 0
    assert versions(hospital) == [(1, files)]


def test_a_file_that_changed_is_a_new_version_and_the_old_one_stays(
    app: App, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = load_template_files()
    monkeypatch.setattr(journey, "load_template_files", lambda: changed(files, "Hello"))
    assert app.seed_templates() == 1
    assert versions(hospital) == [(1, len(files)), (2, 1)]


def test_a_notification_keeps_the_wording_that_it_was_planned_with(
    app: App, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital.add_patient(mail=None)
    hospital.add_appointment()
    app.reminder_planner.plan(date(2026, 11, 24))
    files = load_template_files()
    monkeypatch.setattr(journey, "load_template_files", lambda: changed(files, "Hello"))
    app.seed_templates()
    pinned = "SELECT version FROM notifications n JOIN template_versions v ON v.id = n.template_version_id"
    assert hospital.query(pinned) == [(1,)]
    hospital.add_patient("berta", mail=None)
    hospital.add_appointment("b1", "berta")
    app.reminder_planner.plan(date(2026, 11, 24))
    assert hospital.query(f"{pinned} ORDER BY n.id") == [(1,), (2,)]


def test_a_name_that_the_data_does_not_have_is_refused_before_anything_is_stored(
    app: App, hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = load_template_files()
    broken = changed(files, "Hello {{ surname }}")
    monkeypatch.setattr(journey, "load_template_files", lambda: [*changed(files, "New"), *broken])
    with pytest.raises(WordingError, match="template reminder, sms in en: text uses 'surname'"):
        app.seed_templates()
    assert versions(hospital) == [(1, len(files))]


def test_two_who_store_at_once_store_one_version(app: App, hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    files = load_template_files()
    monkeypatch.setattr(journey, "load_template_files", lambda: changed(files, "Hello"))
    with ThreadPoolExecutor(4) as four:
        added = [four.submit(app.seed_templates) for _ in range(4)]
        assert sorted(one.result() for one in added) == [0, 0, 0, 1]
    assert versions(hospital) == [(1, len(files)), (2, 1)]
