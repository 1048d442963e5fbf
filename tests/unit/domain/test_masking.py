from __future__ import annotations

import pytest

from carenotify.domain.masking import mask_address


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("+4915112345678", "+49 ••• 678"),
        ("+12025550123", "+1 ••• 123"),
        ("+423660123456", "+423 ••• 456"),
        ("anna@example.org", "a•••@example.org"),
        ("a@example.org", "a•••@example.org"),
        ("ä.b@c@example.org", "ä•••@example.org"),
        ("12345678", "••• 678"),
        ("@example.org", "•••@example.org"),
        ("", "••• "),
    ],
)
def test_an_address_is_told_apart_and_not_written_to(address: str, masked: str) -> None:
    assert mask_address(address) == masked
