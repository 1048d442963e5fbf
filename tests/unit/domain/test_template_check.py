from __future__ import annotations

from dataclasses import replace

import pytest

from carenotify.domain.kinds import KINDS, ChangeData, ReminderData
from carenotify.domain.notification import Channel
from carenotify.domain.template_check import check_template
from carenotify.domain.wording import TemplateVersion
from carenotify.errors import WordingError
from carenotify.templates import load_template_files

GOOD = TemplateVersion(
    id=1,
    code="reminder",
    channel=Channel.EMAIL,
    language="en",
    version=1,
    subject="{{ hospital.name }}",
    text="{% for line in appointments %}{{ line.venue }} {{ line.start|clock_time }}{% endfor %}",
    html="{{ appointments[0].venue }} {{ (appointments|first).start.year }} {{ given_name|upper }}",
)


@pytest.mark.parametrize("template", load_template_files(), ids=str)
def test_every_template_file_fits_its_kind(template: TemplateVersion) -> None:
    kind = next(kind for kind in KINDS.values() if kind.template == template.code)

    check_template(template, kind.data)


def test_a_template_that_fits_is_accepted() -> None:
    check_template(GOOD, ReminderData)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"text": "{{ diagnosis }}"}, "text uses 'diagnosis', which ReminderData does not have"),
        ({"subject": "{{ givenname }}"}, "subject uses 'givenname', which ReminderData does not have"),
        ({"html": "{{ hospital.fax }}"}, "html uses 'fax', which Hospital does not have"),
        ({"text": "{{ appointments[0].place }}"}, "text uses 'place', which AppointmentLine does not have"),
        ({"text": "{{ (appointments|last).place }}"}, "text uses 'place', which AppointmentLine does not have"),
        (
            {"html": "{% for a in appointments %}{{ a.place }}{% endfor %}"},
            "html uses 'place', which AppointmentLine does not have",
        ),
        ({"text": "one\ntwo {{ "}, "text, line 2: "),
        ({"text": "{{ given_name|shout }}"}, "text, line 1: No filter named 'shout'"),
        ({"subject": None}, "a mail needs a subject"),
    ],
)
def test_a_template_that_does_not_fit_is_refused_by_name(change: dict[str, str | None], complaint: str) -> None:
    with pytest.raises(WordingError) as caught:
        check_template(replace(GOOD, **change), ReminderData)

    assert str(caught.value).startswith(f"template reminder, email in en: {complaint}")


@pytest.mark.parametrize("text", ["{{ new.place }}", "{% if old %}{{ old.place }}{% endif %}"])
def test_what_may_be_missing_is_checked_too(text: str) -> None:
    with pytest.raises(WordingError, match="text uses 'place', which AppointmentLine does not have"):
        check_template(replace(GOOD, subject="Moved", text=text, html=None), ChangeData)
