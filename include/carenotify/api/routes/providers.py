"""How the providers stand."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint
from pydantic import AwareDatetime, BaseModel, ConfigDict

from carenotify.api.endpoint import endpoint
from carenotify.api.wiring import wiring
from carenotify.domain.access import Scope
from carenotify.domain.breaker import BreakerState
from carenotify.domain.notification import Channel
from carenotify.journeys.list_providers import list_providers

providers = Blueprint("providers", __name__)


class Provider(BaseModel):
    """`since` is null when it never opened, `retry_at` when it is closed, `last_code` when it never failed."""

    model_config = ConfigDict(from_attributes=True)

    channel: Channel
    provider: str
    state: BreakerState
    since: AwareDatetime | None
    retry_at: AwareDatetime | None
    last_code: str | None


class Providers(BaseModel):
    """By channel, in the order in which they are used."""

    providers: list[Provider]


@providers.get("/providers")
@endpoint(Scope.REPORTS_READ, Scope.NOTIFICATIONS_READ_MASKED, tag="providers", answers={HTTPStatus.OK: Providers})
def get_providers() -> Providers:
    """Tell which providers are in use, which are down and since when."""
    app = wiring().app
    with app.list_reads.one():
        found = list_providers(app.database, app.provider_names)
    return Providers(providers=[Provider.model_validate(one) for one in found])
