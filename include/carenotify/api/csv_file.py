"""Answers that are opened in a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from flask import Response

from carenotify.domain.spreadsheet import csv_text


def csv_file(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A file of that name with a line of column names. What is None is an empty cell."""
    answer = Response(csv_text(header, rows), content_type="text/csv; charset=utf-8; header=present")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
