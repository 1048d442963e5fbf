"""What deploy/ asks Prometheus for: every expression of the rules and dashboards, and the metrics that they name."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))

# Metrics and recorded figures by how their names begin; what stands in braces, quotes and after by, on, … is no metric.
_METRIC = re.compile(
    r"\b(?:(?:carenotify|rabbitmq|pg|node|process|prometheus|alertmanager)[_:][a-z0-9_:]+|up|ALERTS)\b", re.IGNORECASE
)
_NOT_METRICS = re.compile(r'\{[^}]*\}|"[^"]*"|\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)')
# What Grafana puts in their place when everything is chosen.
_VARIABLES = {"$__rate_interval": "1m", "$channel": ".*", "$provider": ".*", "$queue": ".*", "$instance": ".*"}


@dataclass(frozen=True)
class Query:
    """An expression, and where it stands."""

    place: str
    expression: str

    @property
    def metrics(self) -> set[str]:
        """The metrics that it names."""
        return set(_METRIC.findall(_NOT_METRICS.sub(" ", self.expression)))


@cache
def rules() -> tuple[dict[str, Any], ...]:
    """Every rule of every file."""
    files = sorted((PROMETHEUS / "rules").glob("*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return tuple(rule for group in groups for rule in group["rules"])


def alerts() -> dict[str, dict[str, Any]]:
    """Every alert rule by its name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def rule_queries() -> list[Query]:
    """What the rules ask."""
    return [Query(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]


def recorded_names() -> set[str]:
    """The figures that recording rules make."""
    return {rule["record"] for rule in rules() if "record" in rule}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """The panels that ask something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def dashboard_queries() -> list[Query]:
    """What the panels and annotations of every dashboard ask, with all that can be chosen chosen."""
    queries = []
    for file in DASHBOARDS:
        dashboard = json.loads(file.read_text())
        asked = [(panel["title"], target["expr"]) for panel in panels(dashboard) for target in panel["targets"]]
        asked += [(one["name"], one["expr"]) for one in dashboard["annotations"]["list"]]
        queries += [Query(f"{file.stem}: {title}", _with_all_chosen(expression)) for title, expression in asked]
    return queries


def _with_all_chosen(expression: str) -> str:
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression
