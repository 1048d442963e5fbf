"""The same Flask app outside Airflow: gunicorn, with the settings that suit it."""

from __future__ import annotations

import logging
import os
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from carenotify import tracing
from carenotify.api.application import create_app
from carenotify.app import App, build_app
from carenotify.config import load_settings, traces_exporter
from carenotify.logs import place_of
from carenotify.metrics import sharing

_APPLICATION = "carenotify-api"
_DRAIN_SECONDS = 20
# What went wrong with the request that gunicorn is about to log.
_failed: ContextVar[str | None] = ContextVar("failed", default=None)


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen and with how many processes and threads."""

    host: str
    port: int
    workers: int
    threads: int


class _Logger(Logger):
    """gunicorn's own words go the same way as ours: JSON lines on standard error, and no line for each request."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.addFilter(_leave_out_the_request)


class _Worker(ThreadWorker):
    """Says of a request that it cannot read, or that our app did not answer, what went wrong; not what was asked."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Called by gunicorn, which logs the request with all that stands in its address."""
        failed = _failed.set(place_of(exc))
        try:
            super().handle_error(req, client, addr, exc)
        finally:
            _failed.reset(failed)


def _leave_out_the_request(line: logging.LogRecord) -> bool:
    if (place := _failed.get()) is not None:
        line.msg, line.args = "a request could not be answered: %s", (place,)
    return True


class Server(BaseApplication):
    """Each worker process builds an app of its own after the fork, so that no connection is shared between two."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._app: App | None = None
        super().__init__()

    def load_config(self) -> None:
        """Called by gunicorn."""
        host = f"[{self._place.host}]" if ":" in self._place.host else self._place.host
        chosen: dict[str, Any] = {
            "bind": f"{host}:{self._place.port}",
            "workers": self._place.workers,
            "threads": self._place.threads,
            "worker_class": _Worker,
            "graceful_timeout": _DRAIN_SECONDS,
            "worker_exit": lambda _arbiter, _worker: self._close(),
            "child_exit": lambda _arbiter, worker: _keep_counts(worker.pid),
            "logger_class": _Logger,
            "control_socket_disable": True,
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The WSGI app. Called by gunicorn in each worker."""
        self._app = build_app(application=_APPLICATION)
        return create_app(self._app, person=None)

    def _close(self) -> None:
        if self._app is not None:
            self._app.close()


def _keep_counts(pid: int) -> None:
    if (directory := sharing.shared_directory()) is not None:
        sharing.fold(directory, pid)


def _check_tracing() -> None:
    """OpenTelemetry's SDK refuses a value when it is set up, and a worker does that while the port is open already."""
    tracing.configure_tracing(_APPLICATION, exporter=traces_exporter())
    tracing.stop_tracing()


def serve(place: Place) -> None:
    """Serve until SIGTERM. Raises SettingsError before anything listens.

    Several processes count their metrics together, so that it does not matter which of them is asked.
    """
    load_settings()
    _check_tracing()
    if place.workers == 1:
        Server(place).run()
        return
    directory, owner = sharing.share(), os.getpid()
    try:
        Server(place).run()
    finally:
        if os.getpid() == owner:  # a worker that ends comes here too
            sharing.unshare(directory)
