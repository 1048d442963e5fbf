"""Where things are in this checkout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Checkout:
    """A checkout, with its run folder and its virtual environment."""

    root: Path
    run_name: str = ".run"

    @property
    def run(self) -> Path:
        """Everything that a start writes: data, logs, pid files, secrets."""
        return self.root / self.run_name

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The interpreter that has the packages."""
        return self.venv / "bin" / "python"


def here() -> Checkout:
    """The checkout that this file is in."""
    return Checkout(Path(__file__).resolve().parent.parent)
