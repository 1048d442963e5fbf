from __future__ import annotations

import pytest

from carenotify.api.endpoint import endpoint


def test_a_view_without_scopes_has_to_say_that_it_is_open() -> None:
    with pytest.raises(ValueError, match="open_endpoint"):
        endpoint(tag="tests", answers={})
