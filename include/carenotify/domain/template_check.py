"""Refuses a template before it is used: broken syntax, or a name that its data does not have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

from jinja2 import TemplateSyntaxError, meta, nodes
from pydantic import BaseModel

from carenotify.domain.notification import Channel
from carenotify.domain.wording import Hospital, TemplateVersion, environment
from carenotify.errors import WordingError

_ZONE = ZoneInfo("UTC")


@lru_cache(maxsize=256)
def check_template(template: TemplateVersion, data_model: type[BaseModel]) -> None:
    """Raises WordingError naming the template, channel, language and part, and the unknown name or the broken line.

    Takes milliseconds, and is therefore not done again for a version that has passed.
    """
    if template.channel is Channel.EMAIL and template.subject is None:
        raise WordingError(f"{template}: a mail needs a subject")
    for part, source in template.parts.items():
        tree = _parse(template, part, source)
        known = {"hospital": Hospital, **{name: field.annotation for name, field in data_model.model_fields.items()}}
        for name in sorted(meta.find_undeclared_variables(tree) - known.keys()):
            raise WordingError(f"{template}: {part} uses {name!r}, which {data_model.__name__} does not have")
        for owner, attribute in _unknown_attributes(tree, known):
            raise WordingError(f"{template}: {part} uses {attribute!r}, which {owner} does not have")


def _parse(template: TemplateVersion, part: str, source: str) -> nodes.Template:
    sandbox = environment(template.language, _ZONE, autoescape=part == "html")
    try:
        sandbox.from_string(source)  # finds unknown filters and tests, which parsing alone lets pass
        return sandbox.parse(source)
    except TemplateSyntaxError as error:
        raise WordingError(f"{template}: {part}, line {error.lineno}: {error.message}") from None


def _unknown_attributes(tree: nodes.Template, known: dict[str, Any]) -> Iterator[tuple[str, str]]:
    types = dict(known)
    for loop in tree.find_all(nodes.For):
        if isinstance(loop.target, nodes.Name):
            types[loop.target.name] = _element(_type_of(loop.iter, types))
    for access in tree.find_all(nodes.Getattr):
        owner = _type_of(access.node, types)
        if (names := _attributes(owner)) is not None and access.attr not in names:
            yield owner.__name__, access.attr


def _type_of(expression: nodes.Node | None, types: dict[str, Any]) -> Any:
    """The type of an expression as far as the data schema tells it, else None."""
    match expression:
        case nodes.Name(name=name):
            return _present(types.get(name))
        case nodes.Getattr(node=owner, attr=attribute):
            return _present((_attributes(_type_of(owner, types)) or {}).get(attribute))
        case nodes.Getitem(node=sequence) | nodes.Filter(node=sequence, name="first" | "last"):
            return _element(_type_of(sequence, types))
        case _:
            return None


def _element(type_: Any) -> Any:
    return get_args(type_)[0] if get_origin(type_) in (tuple, list) else None


def _present(type_: Any) -> Any:
    """What an optional value is when it is there: a template asks before it uses one."""
    members = [member for member in get_args(type_) if member is not NoneType]
    return members[0] if get_origin(type_) in (Union, UnionType) and len(members) == 1 else type_


def _attributes(type_: Any) -> dict[str, Any] | None:
    if isinstance(type_, type) and issubclass(type_, BaseModel):
        return {name: field.annotation for name, field in type_.model_fields.items()}
    if isinstance(type_, type) and is_dataclass(type_):
        hints = get_type_hints(type_)
        return {field.name: hints[field.name] for field in fields(type_)}
    return None
