"""The one decorator of every view: who may call it, what it takes, what it answers, and its page in the OpenAPI.

A view that does not have it answers nobody (`guard.py` refuses it), so a forgotten one is closed and not open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from weakref import WeakKeyDictionary

from flask import Response
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ValidationError
from spectree import Response as Answers
from spectree import SpecTree
from spectree.models import InType, SecureType, SecurityScheme, SecuritySchemeData
from spectree.plugins.flask_plugin import FlaskPlugin

from carenotify.api.problems import Problem, invalid
from carenotify.domain.access import Scope

View = Callable[..., Any]
BEARER = "bearer"
TWILIO = "twilio"


@dataclass(frozen=True, slots=True)
class Signature:
    """How somebody who has no key of ours shows that a request is theirs.

    `fits` looks at the request that is being served, and raises SignatureUncheckedError when it cannot tell. `scheme`
    names the OpenAPI's security scheme, where it has one.
    """

    fits: Callable[[], bool]
    scheme: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What the guard has to know of a view before it is called: it is open, signed, or for callers with a scope.

    `also` tells of the request that is being served whether its caller may go on without showing anything.
    """

    any_of: frozenset[Scope]
    is_open: bool
    takes_json: bool
    signature: Signature | None = None
    signed_body: type[BaseModel] | None = None
    also: Callable[[], bool] | None = None

    @property
    def security(self) -> dict[str, list[str]] | None:
        """The requirement in the OpenAPI; None where it knows no scheme of that sort."""
        if self.signature is not None:
            return None if self.signature.scheme is None else {self.signature.scheme: []}
        return None if self.is_open else {BEARER: sorted(self.any_of)}


_ENDPOINTS: WeakKeyDictionary[View, Endpoint] = WeakKeyDictionary()


class _Backend(FlaskPlugin):
    """Answers what is invalid with a problem, and leaves finished answers alone.

    spectree itself would make JSON of whatever was sent, and read a file that is being sent, which can be read once.
    """

    def request_validation(self, *request: Any) -> None:
        try:
            super().request_validation(*request)  # type: ignore[no-untyped-call]
        except ValidationError as error:
            raise invalid(error) from None

    def validate_response(self, resp: Any, *more: Any) -> Any:
        return (resp, None) if isinstance(resp, Response) else super().validate_response(resp, *more)


spec = SpecTree(
    backend=_Backend,
    mode="strict",
    validation_error_model=Problem,
    naming_strategy=lambda model: model.__name__,
    nested_naming_strategy=lambda _parent, child: child,
    title="carenotify",
    version="1",
    description="Change events, notifications and preferences of a hospital's appointments.",
    security_schemes=[
        SecurityScheme(
            name=BEARER,
            data=SecuritySchemeData(
                type=SecureType.HTTP, scheme="bearer", description="An API key of carenotify, or an Airflow JWT."
            ),
        ),
        SecurityScheme(
            name=TWILIO,
            data=SecuritySchemeData(
                type=SecureType.API_KEY,
                field_in=InType.HEADER,
                name="X-Twilio-Signature",
                description="HMAC-SHA1 over the public URL and the sorted parameters, with the account's auth token.",
            ),
        ),
    ],
)


def open_endpoint(*, tag: str, answers: Mapping[HTTPStatus, type[BaseModel] | None]) -> Callable[[View], View]:
    """A view that anybody may call: nothing that it answers is worth keeping to oneself."""
    return _endpoint(Endpoint(frozenset(), is_open=True, takes_json=False), tag=tag, answers=answers)


def signed_endpoint(
    signature: Signature,
    *,
    tag: str,
    answers: Mapping[HTTPStatus, type[BaseModel] | None],
    body: type[BaseModel] | None = None,
) -> Callable[[View], View]:
    """A view for whoever signs what they send: the guard lets nothing through whose signature does not fit.

    Its parameters `form` and `query`, annotated with pydantic models, are what the request must bring. `body` is what
    the OpenAPI says of a body that the signature's check reads itself.
    """
    declared = Endpoint(frozenset(), is_open=False, takes_json=False, signature=signature, signed_body=body)
    return _endpoint(declared, tag=tag, answers=answers)


def endpoint(
    *any_of: Scope,
    tag: str,
    answers: Mapping[HTTPStatus, type[BaseModel] | None],
    also: Callable[[], bool] | None = None,
) -> Callable[[View], View]:
    """A view for callers with at least one of these scopes, and for those of whom `also` is true.

    Its parameters `json` and `query`, annotated with pydantic models, are what the request must bring.
    """
    if not any_of:
        raise ValueError("a view that anybody may call says so: open_endpoint")
    declared = Endpoint(frozenset(any_of), is_open=False, takes_json=False, also=also)
    return _endpoint(declared, tag=tag, answers=answers)


def endpoint_of(view: View) -> Endpoint | None:
    """What the view was declared to be; None when it was not."""
    return _ENDPOINTS.get(view)


def _endpoint(
    access: Endpoint, *, tag: str, answers: Mapping[HTTPStatus, type[BaseModel] | None]
) -> Callable[[View], View]:
    models: dict[str, Any] = {f"HTTP_{status.value}": model for status, model in answers.items()}

    def declare(view: View) -> Callable[..., ResponseReturnValue]:
        declared: Callable[..., ResponseReturnValue] = spec.validate(
            resp=Answers(**models),
            tags=[tag],
            operation_id=view.__name__,
            security=access.security,
        )(view)
        _ENDPOINTS[declared] = replace(access, takes_json="json" in view.__annotations__)
        return declared

    return declare
