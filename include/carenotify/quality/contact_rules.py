"""What an address must be to be used. An address that breaks a rule is left out; its appointment is loaded."""

from __future__ import annotations

from great_expectations.expectations.core.expect_column_values_to_be_in_set import ExpectColumnValuesToBeInSet
from great_expectations.expectations.core.expect_column_values_to_match_regex import ExpectColumnValuesToMatchRegex

from carenotify.quality.rule import Rule

# RFC 5321's dot-string and domain, without what no hospital's mail server would take (quotes, literals, one label).
_MAIL_ADDRESS = (
    r"^(?=.{3,254}\Z)(?=[^@]{1,64}@)[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9\-]{0,61}[A-Za-z0-9]\Z"
)

CONTACT_RULES: tuple[Rule, ...] = (
    Rule("phone_is_number", ExpectColumnValuesToBeInSet, {"column": "phone_valid", "value_set": ["yes"]}),
    Rule("mail_is_address", ExpectColumnValuesToMatchRegex, {"column": "mail", "regex": _MAIL_ADDRESS}),
    Rule("period_is_dates", ExpectColumnValuesToBeInSet, {"column": "period_valid", "value_set": ["yes"]}),
)
