"""What patients asked for."""

from __future__ import annotations

from collections.abc import Mapping

from carenotify.domain.patient import Preferences
from carenotify.storage.database import Transaction

_UPSERT = """
INSERT INTO preferences (patient_id, channels, language, opted_out_channels, opted_out_kinds)
SELECT patient_id, channels, language, opted_out_channels, opted_out_kinds FROM imported
ON CONFLICT (patient_id) DO UPDATE
SET channels = excluded.channels, language = excluded.language, opted_out_channels = excluded.opted_out_channels,
    opted_out_kinds = excluded.opted_out_kinds, updated_at = now()
WHERE (preferences.channels, preferences.language, preferences.opted_out_channels, preferences.opted_out_kinds)
      IS DISTINCT FROM
      (excluded.channels, excluded.language, excluded.opted_out_channels, excluded.opted_out_kinds)
"""


def upsert(transaction: Transaction, wishes: Mapping[str, Preferences]) -> int:
    """Store preferences by patient id; returns how many are new or differ from what was stored."""
    transaction.execute("CREATE TEMP TABLE imported (LIKE preferences) ON COMMIT DROP")
    columns = "(patient_id, channels, language, opted_out_channels, opted_out_kinds, updated_at)"
    with transaction.cursor() as cursor, cursor.copy(f"COPY imported {columns} FROM STDIN") as copy:
        for patient_id, wish in wishes.items():
            channels = [channel.value for channel in wish.channels]
            refused = sorted(channel.value for channel in wish.opted_out_channels)
            copy.write_row((patient_id, channels, wish.language, refused, sorted(wish.opted_out_kinds), "now"))
    return transaction.execute(_UPSERT).rowcount
