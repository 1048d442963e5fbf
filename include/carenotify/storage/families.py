"""What makes notifications one family, in SQL: those that tell one patient the same things, on whatever channel.

Their keys begin alike (domain.fallback.family_key), and each tells at least the appointments that the other tells.
"""

from __future__ import annotations


def key_range(family: str, member: str) -> str:
    """Whether the row `member` is of the family whose keys begin with `family`, an SQL expression."""
    return f"""{member}.dedup_key > {family} COLLATE "C" || ':' AND {member}.dedup_key < {family} COLLATE "C" || ';'"""


def family_of(row: str) -> str:
    """What the keys of a row's family begin with."""
    return f"regexp_replace({row}.dedup_key, ':[^:]*:[^:]*$', '')"


def tells_as_much(member: str, row: str) -> str:
    """Whether `member` tells all that `row` tells, as `row` tells it."""
    return f"""NOT EXISTS (
        SELECT FROM notification_appointments l
        WHERE l.notification_id = {row}.id AND NOT EXISTS (
            SELECT FROM notification_appointments m
            WHERE m.notification_id = {member}.id AND m.appointment_id = l.appointment_id
              AND m.content_hash = l.content_hash
        )
    )"""


def still_true(row: str) -> str:
    """Whether all that a row tells is as it tells it."""
    return f"""NOT EXISTS (
        SELECT FROM notification_appointments l
        LEFT JOIN appointments a ON a.id = l.appointment_id
        WHERE l.notification_id = {row}.id AND a.content_hash IS DISTINCT FROM l.content_hash
    )"""
