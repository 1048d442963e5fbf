"""A database that an older version has used, brought to this one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from carenotify.app import App
from carenotify.storage import migrate as migrating
from carenotify.storage.migrate import migrate
from tests.integration.alerting import Messages
from tests.integration.ward import Hospital

AUCKLAND = ZoneInfo("Pacific/Auckland")


def take_back_to(url: str, version: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrating.__file__).parent / "migrations"))
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL search_path TO carenotify"))
        config.attributes["connection"] = connection
        command.downgrade(config, version)
    engine.dispose()


def test_the_days_that_the_version_before_has_planned_count_as_planned_in_the_hospitals_own_days(
    app: App, hospital: Hospital
) -> None:
    evening = datetime.now(UTC).replace(hour=20, minute=30, second=0, microsecond=0) - timedelta(days=2)  # 08:30 there
    messages = Messages(hospital)
    messages.add(3, at=evening)
    messages.add(2, channel="email", at=evening)  # to two of the three
    messages.add(1, name="old", at=evening - timedelta(days=9))
    take_back_to(app.database.url, "0005")
    migrate(app.database.url, timezone=AUCKLAND.key)
    day = evening.astimezone(AUCKLAND).date()
    assert day == evening.date() + timedelta(days=1)
    assert hospital.query("SELECT * FROM reminder_plans") == [(day, evening, 3, 5)]
