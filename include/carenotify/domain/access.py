"""Who may do what over HTTP: scopes, and the scopes that each of Airflow's roles brings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """One thing that an API key or a person may do."""

    EVENTS_WRITE = "events:write"
    NOTIFICATIONS_READ_MASKED = "notifications:read-masked"
    NOTIFICATIONS_READ = "notifications:read"
    NOTIFICATIONS_WRITE = "notifications:write"
    PREFERENCES_READ = "preferences:read"
    PREFERENCES_WRITE = "preferences:write"
    TEMPLATES_READ = "templates:read"
    TEMPLATES_WRITE = "templates:write"
    DEAD_LETTERS_READ = "dead-letters:read"
    DEAD_LETTERS_WRITE = "dead-letters:write"
    REPORTS_READ = "reports:read"
    PAUSE_WRITE = "pause:write"
    METRICS_READ = "metrics:read"
    KEYS_ADMIN = "keys:admin"


ALL_SCOPES = frozenset(Scope)

_VIEWER = frozenset({Scope.NOTIFICATIONS_READ_MASKED, Scope.REPORTS_READ, Scope.TEMPLATES_READ})
_USER = _VIEWER | {Scope.NOTIFICATIONS_READ, Scope.PREFERENCES_READ, Scope.DEAD_LETTERS_READ}
_OP = _USER | {
    Scope.EVENTS_WRITE,
    Scope.NOTIFICATIONS_WRITE,
    Scope.PREFERENCES_WRITE,
    Scope.DEAD_LETTERS_WRITE,
    Scope.PAUSE_WRITE,
    Scope.METRICS_READ,
}

# The roles of Airflow's FAB auth manager; a role that is not here (Public, a hospital's own) brings nothing.
ROLE_SCOPES: dict[str, frozenset[Scope]] = {"Viewer": _VIEWER, "User": _USER, "Op": _OP, "Admin": ALL_SCOPES}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is logged in to Airflow."""

    name: str
    roles: tuple[str, ...]

    @property
    def scopes(self) -> frozenset[Scope]:
        """What all of this person's roles together allow."""
        return scopes_of(self.roles)


def scopes_of(roles: Iterable[str]) -> frozenset[Scope]:
    """What these roles together allow."""
    return frozenset[Scope]().union(*(ROLE_SCOPES.get(role, frozenset()) for role in roles))
