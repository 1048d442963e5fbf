from __future__ import annotations

import pytest

from carenotify.domain.access import ALL_SCOPES, ROLE_SCOPES, Person, Scope, scopes_of


def test_each_role_may_what_the_one_below_it_may_and_more() -> None:
    viewer, user, op, admin = (ROLE_SCOPES[role] for role in ("Viewer", "User", "Op", "Admin"))
    assert viewer < user < op < admin == ALL_SCOPES


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("Viewer", {Scope.NOTIFICATIONS_READ_MASKED, Scope.REPORTS_READ}, {Scope.NOTIFICATIONS_READ}),
        ("User", {Scope.NOTIFICATIONS_READ}, {Scope.NOTIFICATIONS_WRITE, Scope.PAUSE_WRITE, Scope.EVENTS_WRITE}),
        ("Op", {Scope.NOTIFICATIONS_WRITE, Scope.PAUSE_WRITE}, {Scope.TEMPLATES_WRITE, Scope.KEYS_ADMIN}),
    ],
)
def test_roles_end_where_they_should(role: str, may: set[Scope], may_not: set[Scope]) -> None:
    assert may <= ROLE_SCOPES[role]
    assert not may_not & ROLE_SCOPES[role]


def test_somebody_may_what_any_of_their_roles_may() -> None:
    assert Person("anna", ("Viewer", "Op")).scopes == ROLE_SCOPES["Op"]


@pytest.mark.parametrize("roles", [(), ("Public",), ("admin",), ("Cardiology",)])
def test_a_role_that_nobody_knows_brings_nothing(roles: tuple[str, ...]) -> None:
    assert scopes_of(roles) == frozenset()
