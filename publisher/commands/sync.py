"""`publisher sync …`."""

from typing import Annotated

import typer

from publisher.command import Run, command, group


def add_to(app: typer.Typer) -> None:
    sync = group(app, "sync", "The content sync: how it stands, a run now.")
    command(sync, "status")(status)
    command(sync, "run")(start)


def status(run: Run) -> None:
    """Show how the content sync stands, a channel a line."""
    found = run.client.sync()
    run.out.answer(
        found,
        lambda: run.out.table(
            ["channel", "rows", "objects", "waiting", "last good run", "cursor's age", "alarms"],
            [
                [
                    channel["channel"],
                    channel["counts"]["rows"],
                    channel["counts"]["objects"],
                    channel["counts"]["waiting"],
                    _ago(channel["lag_seconds"]),
                    _ago(channel["cursor_age_seconds"]),
                    channel["alarms"],
                ]
                for channel in found["data"]
            ],
            "No channels are configured.",
        ),
    )


def start(
    run: Run,
    channel: Annotated[str | None, typer.Option(metavar="NAME", help="This channel alone.")] = None,
    backfill: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A second scan of the last 14 days; the same name goes on with it."),
    ] = None,
    article: Annotated[
        list[str] | None, typer.Option(metavar="GROUP_ID", help="Ask for this article, however old; repeat it.")
    ] = None,
) -> None:
    """Run the content sync now; `sync status` shows what comes of it."""
    started = run.client.run_sync(channel, backfill, article)
    run.out.answer(started, lambda: run.out.fields([("run", started["run_id"])]))


def _ago(seconds: float | None) -> str:
    """The largest unit that fits: 45 s, 12 min, 3 h, 5 d."""
    if seconds is None:
        return "never"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago"
