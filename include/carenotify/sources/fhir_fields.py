"""Reading FHIR JSON that may hold anything: the wanted shape, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def text(value: object) -> str | None:
    """A value as text: text and numbers as they stand, nothing for null, lists and objects.

    U+0000 is left out: JSON can hold it, PostgreSQL cannot.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    stripped = str(value).replace("\x00", "").strip()
    return stripped or None


def members(value: object) -> Iterator[dict[str, Any]]:
    """The objects of a list; nothing for whatever else."""
    if isinstance(value, list):
        yield from (member for member in value if isinstance(member, dict))


def member(value: object, *path: str) -> Any:
    """What stands under a path of names, or None."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def reference_id(value: object, resource_type: str) -> str | None:
    """The id in a Reference to a resource of a type: relative, absolute, versioned, or by `type` and `identifier`-less.

    http://hl7.org/fhir/R4/references.html
    """
    reference = text(member(value, "reference"))
    if reference is None:
        return None
    parts = reference.split("/_history/")[0].split("/")
    return parts[-1] or None if len(parts) > 1 and parts[-2] == resource_type else None
