"""Addresses as those see them who may not know them: enough to tell two apart, too little to write to one."""

from __future__ import annotations

import phonenumbers

MASK = "•••"
_DIGITS_SHOWN = 3


def mask_address(address: str) -> str:
    """`+49 ••• 678` of a number in E.164, `a•••@example.org` of a mail address."""
    local, at, domain = address.rpartition("@")
    if at:
        return f"{local[:1]}{MASK}@{domain}"
    try:
        country = f"+{phonenumbers.parse(address).country_code} "
    except phonenumbers.NumberParseException:
        country = ""
    return f"{country}{MASK} {address[-_DIGITS_SHOWN:]}"
