"""The wording of the mails for staff: their frames, in text and in HTML."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template


def fill_alert_mail(values: Mapping[str, Any]) -> tuple[str, str]:
    """The text and the HTML of a mail that tells of alerts, with everything in the latter escaped."""
    return _filled("_alerts", values)


def fill_report_mail(values: Mapping[str, Any]) -> tuple[str, str]:
    """The text and the HTML of a day's report, with everything in the latter escaped."""
    return _filled("_report", values)


def _filled(folder: str, values: Mapping[str, Any]) -> tuple[str, str]:
    return _template(folder, "mail.txt").render(values), _template(folder, "mail.html").render(values)


@cache
def _template(folder: str, name: str) -> Template:
    environment = Environment(
        autoescape=name.endswith(".html"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(files(__package__).joinpath(folder, name).read_text(encoding="utf-8"))
