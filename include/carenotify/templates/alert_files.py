"""The wording of the mail that tells staff of alerts: its frame, in text and in HTML."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template


def fill_alert_mail(values: Mapping[str, Any]) -> tuple[str, str]:
    """The text and the HTML of a mail, with everything in the latter escaped."""
    return _template("mail.txt").render(values), _template("mail.html").render(values)


@cache
def _template(name: str) -> Template:
    environment = Environment(
        autoescape=name.endswith(".html"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(files(__package__).joinpath("_alerts", name).read_text(encoding="utf-8"))
