"""Phone numbers as patients' records hold them, made E.164 (ITU-T E.164) where they can be."""

from __future__ import annotations

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

_TEXTABLE = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}


def read_phone(text: str, default_region: str) -> tuple[str, bool] | None:
    """The number in E.164 and whether it can take an SMS; None when the text is no number that exists.

    The default region (ISO 3166) is where a number without a country code is.
    """
    try:
        number = phonenumbers.parse(text, default_region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    textable = phonenumbers.number_type(number) in _TEXTABLE
    return phonenumbers.format_number(number, PhoneNumberFormat.E164), textable
