"""The drills' results for the person at the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from drills.verdict import Verdict

_HEADS = ("drill", "messages", "lost", "dead letters", "twice", "at most", "recovered in", "took", "")
_LINE = "  {:<18}{:>10}{:>7}{:>14}{:>8}{:>9}{:>14}{:>8}  {}"


def table(verdicts: Sequence[Verdict]) -> str:
    """One line for each drill, below a line of heads."""
    return "\n".join([_LINE.format(*_HEADS), *map(_line, verdicts)])


def _line(verdict: Verdict) -> str:
    cells = (
        verdict.drill,
        verdict.messages,
        verdict.lost,
        verdict.refused,
        verdict.duplicates,
        verdict.duplicates_bound,
        f"{verdict.recover_seconds:.1f} s",
        f"{verdict.seconds:.0f} s",
        "passed" if verdict.passed else _why_not(verdict),
    )
    return _LINE.format(*cells)


def _why_not(verdict: Verdict) -> str:
    reasons = [f"{verdict.unexplained} came twice without a reason"] if verdict.unexplained else []
    return "FAILED " + ", ".join([*reasons, *verdict.died])
