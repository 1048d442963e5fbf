"""Airflow's check of what a statement answers, without what PostgreSQL's errors say: they may quote a row."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.sql.operators.sql import SQLCheckOperator

from private_errors import private_errors


class PrivateSQLCheckOperator(SQLCheckOperator):
    """Fails with what it found, else with the kind and place of the error."""

    @private_errors
    def execute(self, context: Any) -> None:
        """Run the check."""
        super().execute(context)
