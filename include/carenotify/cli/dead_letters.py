"""What nobody delivered: look at it, send it once more, or put it away."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing

import click
from rich.console import Console
from rich.table import Table

from carenotify.app import App, build_app
from carenotify.cli.options import channel_option, local_time
from carenotify.cli.whoever import whoever
from carenotify.domain.dead_letter import REASONS, RESOLUTIONS, Refusal, Source
from carenotify.domain.notification import Channel
from carenotify.journeys.discard_dead_letters import discard_dead_letters
from carenotify.journeys.list_dead_letters import list_dead_letters, read_broken_message, read_dead_letter
from carenotify.journeys.replay_dead_letters import Replayed, replay_dead_letters, replay_matching
from carenotify.storage.dead_letters import DeadLetter

_reasons = click.option(
    "--reason",
    "reasons",
    type=click.Choice(REASONS),
    multiple=True,
    help="Only those with that reason; repeatable.",
)
_ids = click.argument("ids", metavar="[ID]...", nargs=-1, type=click.IntRange(1, 2**63 - 1))
_id = click.argument("letter_id", metavar="ID", type=click.IntRange(1, 2**63 - 1))


@click.group("dead-letters")
def dead_letters() -> None:
    """Messages that failed for good, or that the broker gave up."""


@dead_letters.command("list")
@_reasons
@channel_option
@click.option("--source", type=click.Choice([*map(str, Source)]), help="Only those that this one gave up.")
@click.option("--resolved", is_flag=True, help="Those that have been answered, by whatever, instead of the open ones.")
@click.option("--resolution", type=click.Choice(RESOLUTIONS), help="Only those that have been answered by that.")
@click.option("--most", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many to show.")
@click.option(
    "--before", type=click.IntRange(1, 2**63 - 1), help="Go on after that ID, which the page before ended with."
)
def list_letters(
    reasons: tuple[str, ...],
    channel: Channel | None,
    source: str | None,
    *,
    resolved: bool,
    resolution: str | None,
    most: int,
    before: int | None,
) -> None:
    """Show dead letters, newest first."""
    resolved = resolved or resolution is not None
    asked = {
        "reasons": list(reasons) or None,
        "channel": channel,
        "source": source,
        "resolution": resolution,
        "before": before,
    }
    wanted = {"is_open": not resolved} | {name: value for name, value in asked.items() if value is not None}
    with closing(build_app()) as app:
        page = list_dead_letters(app.database, wanted, now=app.clock(), limit=most)
    if not page.letters:
        click.echo("No dead letters.")
        return
    _show_page(page.letters, app, resolved=resolved)
    if page.next is not None:
        click.echo(f"There are more: --before {page.next}")
    if not resolved:
        click.echo(
            "Next: dead-letters show ID, replay ID..., or discard ID... What the reasons mean: docs/dead-letters.md"
        )


def _show_page(letters: Sequence[DeadLetter], app: App, *, resolved: bool) -> None:
    last = "resolved" if resolved else "can be replayed"
    table = Table("id", "since", "source", "reason", "code", "tries", "kind", "channel", last)
    for letter in letters:
        ending = _ending(letter) if resolved else _chance(letter, app)
        table.add_row(
            str(letter.id),
            local_time(letter.created_at, app.settings.timezone),
            letter.source,
            letter.reason,
            letter.code or "",
            str(letter.attempts),
            letter.kind or "",
            letter.channel or letter.queue or "",
            ending,
        )
    Console().print(table)


def _ending(letter: DeadLetter) -> str:
    return f"{letter.resolution} by {letter.resolved_by}" if letter.resolved_by else f"{letter.resolution}"


def _chance(letter: DeadLetter, app: App) -> str:
    if letter.refusal is not None:
        return f"no: {letter.refusal.replace('_', ' ')}"
    return f"until {local_time(letter.expires_at, app.settings.timezone)}" if letter.expires_at else "yes"


@dead_letters.command()
@_id
@click.option(
    "--message", is_flag=True, help="Print what the broker gave up. It may be personal; who reads it is noted."
)
def show(letter_id: int, *, message: bool) -> None:
    """Show all that is known of the dead letter with that ID."""
    with closing(build_app()) as app:
        letter = read_dead_letter(app.database, letter_id, now=app.clock())
        kept = read_broken_message(app.database, letter_id, by=whoever(), now=app.clock()) if message else None
    _show_letter(letter, app)
    if kept is not None:
        size, beginning = kept
        click.echo(f"The message had {size} bytes; the first {len(beginning)} of them:")
        click.echo(ascii(beginning)[2:-1])  # a terminal obeys what it is sent


def _show_letter(letter: DeadLetter, app: App) -> None:
    twice = "the provider may have it: sent again, it may come twice" if letter.possible_duplicate else ""
    resolved = letter.resolved_at and f"{_ending(letter)}, {local_time(letter.resolved_at, app.settings.timezone)}"
    replay = Refusal(letter.refusal).explanation if letter.refusal else f"can be, {_chance(letter, app)}"
    facts = {
        "given up by": letter.source,
        "reason": letter.reason,
        "code": letter.code,
        "tries": letter.attempts,
        "since": local_time(letter.created_at, app.settings.timezone),
        "queue": letter.queue,
        "notification": letter.notification_id,
        "kind": letter.kind,
        "channel": letter.channel,
        "its status": letter.status,
        "beware": twice,
        "resolved": resolved,
        "replay": replay,
    }
    table = Table(title=f"Dead letter {letter.id}", show_header=False, title_justify="left")
    table.add_column(style="bold")
    table.add_column()
    for name, value in facts.items():
        if value not in {None, ""}:
            table.add_row(name, str(value))
    Console().print(table)


@dead_letters.command()
@_ids
@click.option("--all", "all_of_them", is_flag=True, help="Every open one with those reasons and that channel.")
@_reasons
@channel_option
@click.option("--most", type=click.IntRange(1), help="With --all: so many at most.", show_default="no limit")
@click.option("--dry-run", is_flag=True, help="Say what would be replayed; change nothing.")
def replay(
    ids: tuple[int, ...],
    reasons: tuple[str, ...],
    channel: Channel | None,
    *,
    all_of_them: bool,
    most: int | None,
    dry_run: bool,
) -> None:
    """Send what failed once more: the dead letters of those IDs, or --all.

    Exit status 1 when one of the IDs was refused.
    """
    if bool(ids) == all_of_them:
        raise click.UsageError("say which: IDs, or --all (with --reason and --channel, if need be)")
    if ids and (reasons or channel or most):
        raise click.UsageError("--reason, --channel and --most choose among --all; with IDs they choose nothing")
    with closing(build_app()) as app:
        common = {"by": whoever(), "clock": app.clock, "dry_run": dry_run}
        if ids:
            outcome = replay_dead_letters(app.database, ids, **common)  # type: ignore[arg-type]
        else:
            outcome = replay_matching(
                app.database,
                reasons=list(reasons) or None,
                channel=channel,
                most=most,
                **common,  # type: ignore[arg-type]
            )
    _tell(outcome, dry_run=dry_run)
    if ids and outcome.refused:
        sys.exit(1)


def _tell(outcome: Replayed, *, dry_run: bool) -> None:
    what = "would be replayed" if dry_run else "replayed; the workers send them within seconds"
    click.echo(f"{len(outcome.replayed)} {what}.")
    for refusal in Refusal:
        refused = [letter_id for letter_id, reason in outcome.refused.items() if reason == refusal]
        if refused:
            some = ", ".join(map(str, refused[:10])) + (", ..." if len(refused) > len(refused[:10]) else "")
            click.echo(f"{len(refused)} not ({some}): {refusal.explanation}")


@dead_letters.command()
@_ids
def discard(ids: tuple[int, ...]) -> None:
    """Put the dead letters of those IDs away: somebody has looked, and nothing is to be sent."""
    if not ids:
        raise click.UsageError("say which: IDs, as dead-letters list shows them")
    with closing(build_app()) as app:
        done = discard_dead_letters(app.database, ids, by=whoever(), now=app.clock())
    click.echo(f"{len(done)} discarded, {len(set(ids)) - len(done)} were discarded before.")
