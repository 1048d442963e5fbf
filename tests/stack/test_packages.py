"""What is missing on a machine is told in one line that says what to do."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from stack import packages, postgres, rabbitmq
from stack.checkout import Checkout
from stack.errors import StackError

WANTED = ["postgresql", "rabbitmq-server"]


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No servers, and no programs on the path."""
    monkeypatch.setattr(postgres, "_INSTALLED", Path("/nowhere"))
    monkeypatch.setattr(rabbitmq, "_SCRIPTS", (Path("/nowhere"),))
    monkeypatch.setattr(shutil, "which", lambda _name: None)


@pytest.mark.usefixtures("bare_machine")
def test_missing_servers_are_named_by_their_debian_packages() -> None:
    assert packages.missing_system_packages(want_postgres=True, want_rabbitmq=True) == WANTED


@pytest.mark.usefixtures("bare_machine")
def test_servers_that_the_user_has_elsewhere_are_not_asked_for() -> None:
    assert packages.missing_system_packages(want_postgres=False, want_rabbitmq=False) == []


@pytest.mark.usefixtures("bare_machine")
def test_without_apt_one_line_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"^Missing: postgresql rabbitmq-server\. There is no apt-get here; .*$"):
        packages.install_system_packages(WANTED, log=tmp_path / "log")


def test_without_leave_to_use_apt_one_line_gives_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARESTACK_NO_APT", "1")
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(StackError, match=r"apt-get install postgresql rabbitmq-server$"):
        packages.install_system_packages(WANTED, log=tmp_path / "log")


def test_a_full_disk_is_told_before_anything_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=10**8))
    with pytest.raises(StackError, match=r"0\.1 GB are free .* about 3 GB are needed"):
        packages.check_disk(Checkout(tmp_path))


def test_an_older_python_is_told_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.sys, "version_info", (3, 9, 2))
    with pytest.raises(StackError, match=r"Python 3\.11 or later is needed and this is 3\.9\.2"):
        packages.check_python()


def test_a_failed_installation_is_told_with_its_last_line_and_its_log(tmp_path: Path) -> None:
    log = tmp_path / "install.log"
    with pytest.raises(StackError, match=rf"^the install failed: no such package  \(all of it in {log}\)$"):
        packages.run_showing(["sh", "-c", "echo trying; echo no such package >&2; exit 1"], what="the install", log=log)
    assert log.read_text() == "trying\nno such package\n"
