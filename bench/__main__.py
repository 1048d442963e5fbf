"""`python -m bench [NAME …]`: each figure as a JSON line. Exits with 1 when one that is promised is missed."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

from bench.servers import servers

FIGURES = ("publishing", "delivering", "mail_beside_texts", "twilio_sdk", "airflow_day")


def main(names: list[str]) -> int:
    missed = 0
    with servers() as running:
        for name in names or FIGURES:
            for figure in importlib.import_module(f"bench.{name}").run(running):
                missed += _is_missed(figure)
                print(json.dumps(figure), flush=True)
    return 1 if missed else 0


def _is_missed(figure: dict[str, Any]) -> bool:
    value = figure["value"]
    return bool(value < figure.get("wanted", value) or value > figure.get("at_most", value))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
