"""Bring a database to the schema that this code needs."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from carenotify.errors import StorageError

_SCHEMA = "carenotify"
# Two processes that migrate at once must take turns; any constant of our own will do.
_LOCK = 0x63617265


def migrate(url: str, *, timezone: str = "UTC") -> None:
    """Run every migration that is missing. Safe to call at each start, and from several processes at once.

    `timezone` is the hospital's, by its IANA name: one migration tells its days apart.

    Raises StorageError when the database cannot be reached.
    """
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}"))
            connection.execute(text(f"SET LOCAL search_path TO {_SCHEMA}"))
            connection.execute(text("SELECT set_config('TimeZone', :timezone, true)"), {"timezone": timezone})
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except OperationalError as error:
        place = make_url(url)
        raise StorageError(f"the database at {place.host}:{place.port}/{place.database} cannot be used") from error
    finally:
        engine.dispose()
