"""Run the rules over a load with Great Expectations, and say which row broke which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.checkpoint.actions import UpdateDataDocsAction
from great_expectations.data_context.types.base import ProgressBarsConfig

from carenotify.errors import LoadHeldError
from carenotify.quality.appointment_rules import APPOINTMENT_RULES
from carenotify.quality.contact_rules import CONTACT_RULES
from carenotify.quality.data_docs import forget_run, prune_docs
from carenotify.quality.rule import Rule

# The failing rows by id and never their values, which are personal data and would end up in the data docs.
_RESULT_FORMAT = {
    "result_format": "COMPLETE",
    "unexpected_index_column_names": ["row_id"],
    "exclude_unexpected_values": True,
}


@dataclass(frozen=True, slots=True)
class Findings:
    """Rules broken, by row and by address (row id and position)."""

    appointments: dict[int, tuple[str, ...]]
    contacts: dict[int, dict[int, tuple[str, ...]]]


class Gate:
    """Checks loads against two suites, and writes data docs below `docs_path`."""

    def __init__(
        self,
        *,
        docs_path: Path,
        appointment_rules: Sequence[Rule] = APPOINTMENT_RULES,
        contact_rules: Sequence[Rule] = CONTACT_RULES,
    ) -> None:
        self._docs_path = docs_path
        docs_path.mkdir(parents=True, exist_ok=True)
        prune_docs(docs_path)
        self._context = gx.get_context(mode="file", project_root_dir=docs_path)
        self._context.variables.progress_bars = ProgressBarsConfig(globally=False)
        self._appointment_rules = appointment_rules
        self._contact_rules = contact_rules

    def check(self, *, run_id: str, appointments: pd.DataFrame, contacts: pd.DataFrame) -> Findings:
        """Which rows broke which rules.

        Raises LoadHeldError naming the rule when one could not be run: the load is broken then, not its rows.
        """
        rows = self._broken("appointments", run_id, appointments, self._appointment_rules)
        addresses: dict[int, dict[int, tuple[str, ...]]] = defaultdict(dict)
        for key, rules in self._broken("contacts", run_id, contacts, self._contact_rules).items():
            row_id, _, position = str(key).partition(":")
            addresses[int(row_id)][int(position)] = rules
        return Findings(appointments={int(row_id): rules for row_id, rules in rows.items()}, contacts=dict(addresses))

    def _broken(self, name: str, run_id: str, frame: pd.DataFrame, rules: Sequence[Rule]) -> dict[Any, tuple[str, ...]]:
        if frame.empty:
            return {}
        broken: dict[Any, list[str]] = defaultdict(list)
        for result in self._validate(name, run_id, frame, rules):
            rule = result.expectation_config.meta["rule"]
            if not result.success and "unexpected_index_list" not in result.result:
                # The page shows what the error said, which may be a value.
                forget_run(self._docs_path, name, _file_name(run_id))
                raise LoadHeldError(f"the rule {rule} could not be checked on this load")
            # Without the values, Great Expectations gives all row ids of a rule in one list.
            for found in result.result.get("unexpected_index_list") or ():
                for row_id in found["row_id"]:
                    broken[row_id].append(rule)
        return {row_id: tuple(names) for row_id, names in broken.items()}

    def _validate(self, name: str, run_id: str, frame: pd.DataFrame, rules: Sequence[Rule]) -> list[Any]:
        context = self._context
        suite = context.suites.add_or_update(
            gx.ExpectationSuite(name=name, expectations=[rule.build() for rule in rules])
        )
        source = context.data_sources.add_or_update_pandas("load")
        batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("whole")
        definition = context.validation_definitions.add_or_update(
            gx.ValidationDefinition(name=name, data=batch, suite=suite)
        )
        checkpoint = context.checkpoints.add_or_update(
            gx.Checkpoint(
                name=name,
                validation_definitions=[definition],
                actions=[UpdateDataDocsAction(name="data docs")],
                result_format=_RESULT_FORMAT,
            )
        )
        outcome = checkpoint.run(
            batch_parameters={"dataframe": frame}, run_id=gx.RunIdentifier(run_name=_file_name(run_id))
        )
        (results,) = outcome.run_results.values()
        return list(results.results)


def _file_name(run_id: str) -> str:
    """A run's id as part of a path."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in run_id)[:100]
