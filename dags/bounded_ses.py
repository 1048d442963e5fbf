"""Airflow's way to Amazon SES, which waits for a silent one no longer than a task has time."""

from __future__ import annotations

from functools import cached_property

from airflow.providers.amazon.aws.hooks.ses import SesHook
from airflow.providers.amazon.aws.notifications.ses import SesNotifier
from botocore.config import Config

# Two attempts fit into the two minutes of a task. The SDK alone makes five, of a minute each.
_BOUNDS = Config(connect_timeout=15, read_timeout=15, retries={"total_max_attempts": 2})


class BoundedSesHook(SesHook):
    """Waits at most 15 s for each answer and tries once more, whatever the connection allows."""

    @property
    def config(self) -> Config:
        """The connection's, and these bounds."""
        return (super().config or Config()).merge(_BOUNDS)


class BoundedSesNotifier(SesNotifier):
    """Airflow's notifier over that hook."""

    @cached_property
    def hook(self) -> BoundedSesHook:
        """How it mails."""
        return BoundedSesHook(aws_conn_id=self.aws_conn_id, region_name=self.region_name)
