"""Ports are picked free, remembered, and never taken from somebody else."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.errors import StackError
from stack.ports import RememberedPorts, is_free, pick_free


@pytest.fixture
def foreign_port() -> Iterator[int]:
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", 0))
        foreign.listen()
        yield foreign.getsockname()[1]


def test_a_port_stays_the_same_from_one_start_to_the_next(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    assert RememberedPorts(file).port("ui") == RememberedPorts(file).port("ui")


def test_two_names_never_share_a_port(tmp_path: Path) -> None:
    ports = RememberedPorts(tmp_path / "ports.json")
    assert len({ports.port(f"worker-{number}") for number in range(40)}) == 40


def test_a_remembered_port_that_a_foreign_process_holds_is_given_up(tmp_path: Path, foreign_port: int) -> None:
    file = tmp_path / "ports.json"
    file.write_text(f'{{"ui": {foreign_port}}}')
    assert RememberedPorts(file).port("ui") != foreign_port


def test_a_remembered_port_that_our_own_process_holds_is_kept(tmp_path: Path, foreign_port: int) -> None:
    file = tmp_path / "ports.json"
    file.write_text(f'{{"ui": {foreign_port}}}')
    assert RememberedPorts(file).port("ui", is_ours=lambda: True) == foreign_port


def test_a_fixed_port_wins_over_a_remembered_one(tmp_path: Path) -> None:
    ports = RememberedPorts(tmp_path / "ports.json")
    first = ports.port("ui")
    wanted = pick_free({first})
    assert ports.port("ui", fixed=str(wanted)) == wanted


def test_a_fixed_port_in_use_is_told_with_its_number(tmp_path: Path, foreign_port: int) -> None:
    ports = RememberedPorts(tmp_path / "ports.json")
    with pytest.raises(StackError, match=rf"Port {foreign_port}, asked for ui, is in use"):
        ports.port("ui", fixed=str(foreign_port))


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "80.5"])
def test_what_is_not_a_port_number_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(StackError, match="is not a port number"):
        RememberedPorts(tmp_path / "ports.json").port("ui", fixed=text)


def test_a_port_held_on_every_interface_is_not_free() -> None:
    with socket.socket() as foreign:
        foreign.bind(("0.0.0.0", 0))
        foreign.listen()
        assert not is_free(foreign.getsockname()[1])
