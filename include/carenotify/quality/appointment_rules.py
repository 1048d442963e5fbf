"""What an appointment must be to reach the live table. One entry a rule; the columns are made in `frames`."""

from __future__ import annotations

from great_expectations.expectations.core.expect_column_values_to_be_between import ExpectColumnValuesToBeBetween
from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
from great_expectations.expectations.core.expect_column_values_to_match_regex import ExpectColumnValuesToMatchRegex
from great_expectations.expectations.core.expect_column_values_to_not_be_null import ExpectColumnValuesToNotBeNull

from carenotify.domain.appointment import AppointmentStatus
from carenotify.domain.instant import INSTANT_PATTERN
from carenotify.quality.rule import Rule

# A hospital neither looks further back nor books further ahead; beyond it a date is a slip of the keyboard.
DAYS_BACK, DAYS_AHEAD = 20 * 366, 5 * 366

APPOINTMENT_RULES: tuple[Rule, ...] = (
    Rule("appointment_id_present", ExpectColumnValuesToNotBeNull, {"column": "appointment_id"}),
    # http://hl7.org/fhir/R4/datatypes.html#id
    Rule(
        "appointment_id_is_fhir_id",
        ExpectColumnValuesToMatchRegex,
        {"column": "appointment_id", "regex": r"^[A-Za-z0-9\-.]{1,64}\Z"},
    ),
    Rule("patient_reference_present", ExpectColumnValuesToNotBeNull, {"column": "patient_id"}),
    Rule("patient_known", ExpectColumnValuesToBeInSet, {"column": "patient_known", "value_set": ["yes"]}),
    Rule("status_present", ExpectColumnValuesToNotBeNull, {"column": "status"}),
    Rule(
        "status_is_fhir_status",
        ExpectColumnValuesToBeInSet,
        {"column": "status", "value_set": [status.value for status in AppointmentStatus]},
    ),
    Rule("start_present", ExpectColumnValuesToNotBeNull, {"column": "start_where_required"}),
    Rule("start_has_offset", ExpectColumnValuesToMatchRegex, {"column": "start", "regex": INSTANT_PATTERN}),
    Rule("start_exists", ExpectColumnValuesToBeInSet, {"column": "start_exists", "value_set": ["yes"]}),
    Rule(
        "start_in_range",
        ExpectColumnValuesToBeBetween,
        {"column": "days_ahead", "min_value": -DAYS_BACK, "max_value": DAYS_AHEAD},
    ),
    Rule("end_is_instant", ExpectColumnValuesToBeInSet, {"column": "end_exists", "value_set": ["yes"]}),
    Rule("end_not_before_start", ExpectColumnValuesToBeBetween, {"column": "minutes", "min_value": 0}),
    Rule("venue_present", ExpectColumnValuesToNotBeNull, {"column": "venue_where_required"}),
)
