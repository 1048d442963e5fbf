"""The HTTP surface."""

from carenotify.api.application import create_app

__all__ = ["create_app"]
