"""`python -m drills [NAME …]`: plays the drills one by one. Exits with 1 when one is not passed.

DRILL_SCALE=0.1 makes all of them smaller, for a quick try; DRILL_SEED=7 draws the same instants again.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
from pathlib import Path

from drills.catalogue import DRILLS
from drills.playing import play_alone
from drills.private_server import ROOT
from drills.table import table
from drills.verdict import Verdict
from stack.progress import say

_RUN = ROOT / ".run"


def main(names: list[str]) -> int:
    if unknown := sorted(set(names) - DRILLS.keys()):
        say(f"There is no drill {', '.join(unknown)}; there are {', '.join(DRILLS)}.")
        return 2
    seed = int(os.environ.get("DRILL_SEED") or secrets.randbelow(10**6))
    scale = float(os.environ.get("DRILL_SCALE") or 1)
    chosen = [DRILLS[name] if scale == 1 else DRILLS[name].scaled(scale) for name in names or DRILLS]
    say(f"{len(chosen)} drills, seed {seed}, scale {scale:g}")
    verdicts: list[Verdict] = []
    for drill in chosen:
        say(f"\n  {drill.name}: {drill.play.__doc__}")
        verdicts.append(play_alone(drill, folder=_log_folder(drill.name), seed=seed))
        say(table(verdicts[-1:]))
    _write(verdicts)
    say("\n" + table(verdicts))
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def _log_folder(name: str) -> Path:
    folder = _RUN / "drill-logs" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _write(verdicts: list[Verdict]) -> None:
    report = json.dumps([verdict.as_json() for verdict in verdicts], indent=1)
    _RUN.mkdir(exist_ok=True)
    (_RUN / "drill-report.json").write_text(report + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
