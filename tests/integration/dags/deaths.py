"""Errors full of a patient's data, and what becomes of them in Airflow's processes; for dag_process."""

from __future__ import annotations

import asyncio
import io
import threading
import traceback
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import structlog
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, AirflowTaskTimeout

from carenotify.errors import StorageError
from tests.integration.dags.recognisable import DESCRIPTION, FAMILY, GIVEN, REPLY, STREET, phone


def put_a_bug(place: str) -> None:
    """Let whoever calls what stands there die of a bug."""
    owner, _, name = place.rpartition(".")
    setattr(resolve_name(owner), name, partial(_die, "of a bug"))


def shown_to_developers(error: BaseException) -> str:
    """What Airflow logs with DEV set, and without JSON: the traceback with the variables of each frame."""
    told = io.StringIO()
    exc_info = (type(error), error, error.__traceback__)
    structlog.dev.RichTracebackFormatter(width=1000)(told, exc_info)
    return told.getvalue()


def deaths(_dag_id: str, _conf: dict[str, Any]) -> dict[str, Any]:
    """What Airflow gets to see of each of DEATHS: the classes of the error, and all that tracebacks show."""
    from private_errors import private_errors

    seen = {}
    for name in DEATHS:
        try:
            private_errors(_die)(name)
        except BaseException as error:  # noqa: BLE001
            classes = [one.__name__ for one in type(error).__mro__]
            shown = "".join(traceback.format_exception(error))
            seen[name] = {"classes": classes, "shown": shown, "shown to developers": shown_to_developers(error)}
    return seen


def fail_to_serve(_dag_id: str, _conf: dict[str, Any]) -> dict[str, Any]:
    """What the api-server gets to see when a request dies outside of the Flask app that the plugin mounts."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("carenotify_plugin", Path(__file__).parents[3] / "plugins/carenotify_plugin.py")
    assert spec is not None
    assert spec.loader is not None
    plugin = module_from_spec(spec)
    spec.loader.exec_module(plugin)
    plugin._build = partial(_die, "of a bug")
    try:
        asyncio.run(plugin.MountedApp()({"type": "http"}, None, None))
    except Exception as error:  # noqa: BLE001
        return {"shown": "".join(traceback.format_exception(error))}
    return {}


def _die(death: str, *_: Any, **__: Any) -> None:
    """With a patient's data in what came before, once as a cause and once as a context; after a thread has died so."""
    patient = FAMILY  # as a variable holds it
    if threading.current_thread() is threading.main_thread():
        thread = threading.Thread(target=_die, args=[death], name="beside it")
        thread.start()
        thread.join()
    try:
        try:
            int(patient)
        except ValueError as cause:
            raise KeyError(phone(1)) from cause
    except KeyError as before:
        before.add_note(REPLY)
        raise DEATHS[death]  # noqa: B904 - as a bug does


DEATHS: dict[str, BaseException] = {
    "of a bug": RuntimeError(f"{GIVEN} {FAMILY}, {STREET}: {DESCRIPTION}"),
    "by an exit": SystemExit(f"{GIVEN} {FAMILY}"),
    "in a way of ours": StorageError("the database refused a statement"),
    "for good": AirflowFailException("there is nothing to be tried again"),
    "skipped": AirflowSkipException("there is nothing to do"),
    "cut off": AirflowTaskTimeout("this took too long"),
}
