"""Mail servers that want TLS and a password, as hospitals' do."""

from __future__ import annotations

import asyncio
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from carenotify.channels.base import OutgoingMessage
from carenotify.channels.email.smtp import SmtpProvider
from carenotify.errors import MisconfiguredError, TemporaryDeliveryError


class Mailbox:
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.arrived: list[Any] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.arrived.append(envelope)
        return "250 OK"


def authenticator(_server: object, _session: object, _envelope: object, _mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (b"me", b"s@cret"), handled=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "carenotify test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@contextmanager
def serving(make: Callable[[], SMTP], **options: Any) -> Iterator[int]:
    """Run an SMTP server on a free port."""
    loop = asyncio.new_event_loop()
    running = loop.run_until_complete(loop.create_server(make, "127.0.0.1", 0, **options))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield running.sockets[0].getsockname()[1]
    asyncio.run_coroutine_threadsafe(end_of_conversations(running), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def end_of_conversations(running: asyncio.Server) -> None:
    running.close()
    talking = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait_for(asyncio.gather(*talking, return_exceptions=True), 5)


@pytest.fixture(params=["smtp+starttls", "smtps"])
def server(request: pytest.FixtureRequest, certificate: tuple[Path, Path]) -> Iterator[tuple[str, Mailbox]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    mailbox = Mailbox()
    wants: dict[str, Any] = {"authenticator": authenticator, "auth_required": True, "hostname": "test"}
    if request.param == "smtps":
        # aiosmtpd knows only STARTTLS as TLS, so it has to be told that a password is welcome here.
        wants |= {"auth_require_tls": False}
    else:
        wants |= {"tls_context": context, "require_starttls": True}
    options = {"ssl": context} if request.param == "smtps" else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Requiring AUTH while not requiring TLS")
        with serving(lambda: SMTP(mailbox, **wants), **options) as port:
            yield f"{request.param}://{{login}}127.0.0.1:{port}", mailbox


def send(url: str) -> str:
    provider = SmtpProvider(url, "info@klinikum.example", timeout_seconds=5)
    try:
        return provider.send(OutgoingMessage(uuid4(), 1, "anna@example.org", "Subject", "Text", None, "en"))
    finally:
        provider.close()


def test_mail_goes_out_encrypted_and_logged_in(
    server: tuple[str, Mailbox], certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    url, mailbox = server

    send(url.format(login="me:s%40cret@"))

    assert [envelope.rcpt_tos for envelope in mailbox.arrived] == [["anna@example.org"]]


def test_a_wrong_password_is_passing_and_told_by_its_code(
    server: tuple[str, Mailbox], certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))

    with pytest.raises(MisconfiguredError, match=r"535 5\.7\.8"):
        send(server[0].format(login="me:wrong@"))


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(server: tuple[str, Mailbox]) -> None:
    with pytest.raises(TemporaryDeliveryError, match="tls"):
        send(server[0].format(login="me:s%40cret@"))

    assert server[1].arrived == []
