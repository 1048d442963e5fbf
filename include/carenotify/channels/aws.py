"""The way to AWS, by its SDK: a client for one service, and each of its failures as one of our errors.

boto3 reads the usual variables itself: AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE, the
role of the machine, and AWS_ENDPOINT_URL (or AWS_ENDPOINT_URL_SESV2, AWS_ENDPOINT_URL_SNS) for a stand-in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
from botocore import exceptions
from botocore.config import Config

from carenotify.channels.aws_codes import AwsError, Refusals, refusal
from carenotify.channels.over_http import CONNECT_SECONDS
from carenotify.domain.clock import Clock
from carenotify.errors import (
    DeliveryError,
    MessageRejectedError,
    MisconfiguredError,
    SettingsError,
    TemporaryDeliveryError,
    UnconfirmedDeliveryError,
)

# What never got as far as the call, and what may have: then AWS may have taken the message all the same.
_FAILURES: tuple[tuple[type[Exception], type[DeliveryError], str], ...] = (
    (exceptions.NoCredentialsError, MisconfiguredError, "no-credentials"),
    (exceptions.PartialCredentialsError, MisconfiguredError, "no-credentials"),
    (exceptions.CredentialRetrievalError, MisconfiguredError, "no-credentials"),
    (exceptions.MetadataRetrievalError, MisconfiguredError, "no-credentials"),
    (exceptions.TokenRetrievalError, MisconfiguredError, "no-credentials"),
    (exceptions.SSOError, MisconfiguredError, "no-credentials"),
    (exceptions.ParamValidationError, MessageRejectedError, "unsendable"),
    (UnicodeEncodeError, MessageRejectedError, "unsendable"),
    (exceptions.SSLError, TemporaryDeliveryError, "tls"),
    (exceptions.ProxyConnectionError, TemporaryDeliveryError, "proxy"),
    (exceptions.EndpointConnectionError, TemporaryDeliveryError, "no-connection"),
    (exceptions.ConnectTimeoutError, TemporaryDeliveryError, "no-connection"),
    (exceptions.ReadTimeoutError, UnconfirmedDeliveryError, "timeout"),
    (exceptions.ConnectionClosedError, UnconfirmedDeliveryError, "connection-cut"),
    (exceptions.BotoCoreError, UnconfirmedDeliveryError, "transport"),
    (Exception, UnconfirmedDeliveryError, "unreadable-answer"),  # its parsers stumble over what is not AWS
)


def open_client(service: str, *, connections: int, timeout_seconds: float) -> Any:
    """A client of one service, for that many threads at once. It connects at its first call.

    The SDK never tries again by itself: each retry is a row that becomes due. Raises SettingsError when the
    environment gives no region or no credentials.
    """
    # At DEBUG it writes whole requests, and with them what is private, whoever may have asked for that level.
    logging.getLogger("botocore").setLevel(logging.INFO)
    config = Config(
        connect_timeout=min(CONNECT_SECONDS, timeout_seconds),
        read_timeout=timeout_seconds,
        max_pool_connections=connections,
        retries={"total_max_attempts": 1, "mode": "standard"},
    )
    try:
        session = boto3.session.Session()
        _check(session)
        return session.client(service, config=config)
    except exceptions.BotoCoreError as error:  # these name variables, profiles and files, never a secret
        raise SettingsError(f"AWS_…: {error}") from None
    except ValueError:
        raise SettingsError("AWS_ENDPOINT_URL: is not a URL; leave it away to use AWS itself") from None


def _check(session: boto3.session.Session) -> None:
    if not session.region_name:
        raise SettingsError("AWS_DEFAULT_REGION: is not set; use the region of your account, for example eu-central-1")
    if session.get_credentials() is None:
        raise SettingsError(
            "AWS_ACCESS_KEY_ID: is not set; set it and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give this machine "
            "a role"
        )


@dataclass(frozen=True, slots=True)
class AwsDoor:
    """Calls one service; whatever goes wrong comes out as a DeliveryError, by its table."""

    client: Any
    refusals: Refusals
    clock: Clock

    def hand_over(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """A call that gives a message away, and its answer."""
        call: Callable[..., dict[str, Any]] = getattr(self.client, operation)
        try:
            return call(**parameters)
        except exceptions.ClientError as error:
            raise refusal(_answer(error), self.refusals, self.clock()) from None
        except Exception as error:  # noqa: BLE001 - the SDK lets errors of several libraries pass
            raise _failure(error) from None

    def ask(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """A call that gives nothing away: when its answer is lost, that is all."""
        try:
            return self.hand_over(operation, **parameters)
        except UnconfirmedDeliveryError as error:
            raise TemporaryDeliveryError(error.code, retry_after=error.retry_after) from None


def _answer(error: exceptions.ClientError) -> AwsError:
    told = error.response.get("Error", {})
    about = error.response.get("ResponseMetadata", {})
    return AwsError(
        status=int(about.get("HTTPStatusCode", 0)),
        code=str(told.get("Code", "")),
        text=str(told.get("Message", "")),
        headers={name.title(): value for name, value in about.get("HTTPHeaders", {}).items()},
    )


def _failure(error: Exception) -> DeliveryError:
    return next(kind(code) for known, kind, code in _FAILURES if isinstance(error, known))
