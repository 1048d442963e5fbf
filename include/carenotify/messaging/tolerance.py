"""Reading messages whose headers pika cannot read.

A timestamp beyond the year 9999, or tables in tables without end, pass through RabbitMQ and raise in the middle of
pika's decoding: the connection dies, the broker gives the message to the next worker, and one message ends them all.
Such a message is taken without its properties instead, and judged by its body like every other.
"""

from __future__ import annotations

from pika import spec


class TolerantProperties(spec.BasicProperties):  # type: ignore[misc]
    """Properties as far as they can be read."""

    def decode(self, encoded: bytes, offset: int = 0) -> spec.BasicProperties:
        """Read them from a frame; what cannot be read stays unset."""
        try:
            return super().decode(encoded, offset)
        except Exception:  # noqa: BLE001 - whatever it is, it must not end the connection
            return self


def tolerate_headers() -> None:
    """Let pika read messages with these properties from now on. Saying it twice changes nothing."""
    spec.props[spec.BasicProperties.INDEX] = TolerantProperties
