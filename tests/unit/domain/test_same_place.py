"""When two ways of naming a place mean the same one."""

from __future__ import annotations

import pytest

from carenotify.domain.appointment import Venue
from carenotify.domain.event import same_place


@pytest.mark.parametrize(
    ("told", "known", "same"),
    [
        (Venue("Cardiology"), Venue("Cardiology", "loc-1"), True),
        (Venue("Cardiology", "loc-1"), Venue("Cardiology"), True),
        (Venue("Radiology"), Venue("Cardiology", "loc-1"), False),
        (Venue("Cardiology", "loc-2"), Venue("Cardiology", "loc-1"), False),
    ],
)
def test_a_place_is_the_same_by_name_where_an_id_is_missing(told: Venue, known: Venue, same: bool) -> None:
    assert same_place(told, known) == (known if same else told)
