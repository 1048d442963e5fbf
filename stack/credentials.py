"""Passwords and keys that are made once for a run folder and used again at each start."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


_MAKERS: dict[str, Callable[[], str]] = {
    "postgres_password": lambda: secrets.token_hex(16),
    "broker_password": lambda: secrets.token_hex(16),
    "airflow_password": lambda: secrets.token_hex(8),
    "airflow_fernet_key": _fernet_key,
    "airflow_jwt_secret": lambda: secrets.token_hex(32),
    "airflow_secret_key": lambda: secrets.token_hex(32),
    "encryption_key": _fernet_key,
    "index_key": lambda: secrets.token_hex(32),
    "api_key": lambda: f"cn_{secrets.token_hex(5)}_{secrets.token_hex(24)}",
    "twilio_account_sid": lambda: f"AC{secrets.token_hex(16)}",
    "twilio_auth_token": lambda: secrets.token_hex(16),
}


def load_or_make(file: Path) -> dict[str, str]:
    """Every credential by name, from the file and, where it lacks one, newly made and kept. The file has mode 600."""
    known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    missing = {name: make() for name, make in _MAKERS.items() if name not in known}
    if missing:
        write_privately(file, json.dumps(known | missing, indent=1) + "\n")
    return known | missing


def write_privately(file: Path, text: str) -> None:
    """Replace a file in one step by one that only its owner can read."""
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(text)
    new.replace(file)
