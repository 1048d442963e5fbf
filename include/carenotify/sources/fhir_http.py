"""GET from a FHIR R4 server that fails now and then: time-outs, retries with jitter, and errors that say what came.

Which OperationOutcome codes are worth a retry: http://hl7.org/fhir/R4/valueset-issue-type.html (transient).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
import requests
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from carenotify.errors import SourceAnswerError, SourceError, SourceUnavailableError
from carenotify.sources.fhir_fields import members, text

_log = logging.getLogger(__name__)

_TRANSIENT_CODES = {"throttled", "transient", "timeout", "lock-error", "exception", "incomplete", "no-store"}
_TRANSIENT_STATUSES = {408, 425, 429}
_LONGEST_RETRY_AFTER_SECONDS = 30.0
_LARGEST_BODY_BYTES = 64 * 1024 * 1024
# A body that comes drop by drop never trips the time-out between two reads; this many time-outs long it may be.
_BODY_TIMEOUTS = 6
_backoff = wait_random_exponential(multiplier=0.2, max=8, min=0.05)


class _PassingError(Exception):
    """One try failed in a way that another may not; `final` is what to raise when the tries are spent."""

    def __init__(self, final: SourceError, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(str(final))
        self.final = final
        self.retry_after_seconds = retry_after_seconds


class FhirHttp:
    """GETs resources below `base_url` with a session that is handed in, so that its owner decides on credentials."""

    def __init__(
        self,
        *,
        base_url: str,
        session: requests.Session,
        timeout_seconds: float,
        attempts: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._session = session
        self._timeout_seconds = timeout_seconds
        self._attempts = attempts
        self._sleep = sleep

    def get(self, url: str, *, params: Mapping[str, Any] | None = None, expected: str) -> dict[str, Any] | None:
        """The resource of the expected type at a URL, or None for 404 and 410.

        Raises SourceUnavailableError when it stays away, SourceAnswerError when something else stays there.
        """
        retrying = Retrying(
            stop=stop_after_attempt(self._attempts),
            wait=_wait,
            retry=retry_if_exception_type(_PassingError),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return retrying(self._once, url, params, expected)
        except _PassingError as error:
            raise error.final from None

    def _once(self, url: str, params: Mapping[str, Any] | None, expected: str) -> dict[str, Any] | None:
        try:
            with self._session.get(
                url,
                params=params,
                headers={"Accept": "application/fhir+json"},
                timeout=self._timeout_seconds,
                allow_redirects=False,
                stream=True,
            ) as response:
                return self._read(response, expected)
        except (requests.RequestException, OSError) as error:
            # Neither chained nor quoted: requests puts the whole URL into its messages.
            problem = f"{_place(url)} could not be reached ({type(error).__name__})"
            raise _PassingError(SourceUnavailableError(problem)) from None

    def _read(self, response: requests.Response, expected: str) -> dict[str, Any] | None:
        status = response.status_code
        if status in {404, 410}:
            return None
        body = self._body(response)
        resource = _json_object(body)
        came = _describe(response, resource)
        if status in _TRANSIENT_STATUSES or status >= 500 or _has_transient_issue(resource):
            _log.info("the patient API answered %s; trying again", came)
            raise _PassingError(
                SourceUnavailableError(f"the patient API answered {came}"), retry_after_seconds=_retry_after(response)
            )
        if status != 200:
            raise SourceAnswerError(f"the patient API refused with {came}")
        if resource is None and _looks_truncated(response, body):
            raise _PassingError(SourceUnavailableError(f"the patient API sent a truncated body: {came}"))
        if resource is None or resource.get("resourceType") != expected:
            raise _PassingError(SourceAnswerError(f"expected a FHIR {expected}, the patient API answered {came}"))
        return resource

    def _body(self, response: requests.Response) -> bytes:
        deadline = time.monotonic() + self._timeout_seconds * _BODY_TIMEOUTS
        body = bytearray()
        for chunk in response.iter_content(64 * 1024):
            body += chunk
            if time.monotonic() > deadline:
                raise requests.ReadTimeout
            if len(body) > _LARGEST_BODY_BYTES:
                raise SourceAnswerError(f"the patient API sent more than {_LARGEST_BODY_BYTES} bytes in one answer")
        return bytes(body)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_seconds if isinstance(error, _PassingError) else None
    return _backoff(state) if asked is None else min(asked, _LONGEST_RETRY_AFTER_SECONDS) + _backoff(state) * 0.1


def _retry_after(response: requests.Response) -> float | None:
    """Seconds of a Retry-After header (RFC 9110 10.2.3); its date form is rare enough to leave to the backoff."""
    value = response.headers.get("Retry-After", "").strip()
    return float(value) if value.isascii() and value.isdigit() else None


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _looks_truncated(response: requests.Response, body: bytes) -> bool:
    return "json" in response.headers.get("Content-Type", "") and body[:1] == b"{"


def _has_transient_issue(resource: dict[str, Any] | None) -> bool:
    if resource is None or resource.get("resourceType") != "OperationOutcome":
        return False
    return any(text(issue.get("code")) in _TRANSIENT_CODES for issue in members(resource.get("issue")))


def _describe(response: requests.Response, resource: dict[str, Any] | None) -> str:
    """Status, content type and resource type or issue codes: enough to act on, and nothing of the body's contents."""
    kind = response.headers.get("Content-Type", "no content type").split(";")[0]
    described = f"HTTP {response.status_code}, {kind[:80]}"
    if resource is None:
        return described
    described += f", resourceType {_code(resource.get('resourceType'))}"
    codes = [_code(issue.get("code")) for issue in members(resource.get("issue"))]
    return f"{described} ({', '.join(codes[:5])})" if codes else described


def _code(value: object) -> str:
    """A code as it stands when it looks like one; anything else could be anything."""
    found = text(value)
    return found if found and len(found) <= 40 and found.replace("-", "").isalnum() else "unknown"


def _place(url: str) -> str:
    return f"the patient API at {urlsplit(url).netloc}"
