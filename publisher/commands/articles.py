"""`publisher articles …`."""

import json
from typing import Annotated

import typer

from publisher.command import Run, command, group
from publisher.commands.paging import All, Cursor, Limit, wanted

Channel = Annotated[
    str | None, typer.Option(metavar="NAME", help="A channel (UtmSource); needed where there are several.")
]
GroupIds = Annotated[
    list[str], typer.Argument(help="The service's GroupId; several are fine.", metavar="GROUP_ID…")
]


def add_to(app: typer.Typer) -> None:
    articles = group(app, "articles", "Read the synced articles.")
    command(articles, "list")(list_articles)
    command(articles, "show")(show)
    command(articles, "refresh")(refresh)


def list_articles(
    run: Run,
    channel: Channel = None,
    type: Annotated[  # noqa: A002 - the option's name
        str | None, typer.Option(metavar="TYPE", help="article, feed_video, short_video, …")
    ] = None,
    category: Annotated[str | None, typer.Option(metavar="NAME", help="A category of any level.")] = None,
    published_from: Annotated[
        str | None, typer.Option(metavar="TIME", help="RFC 3339, such as 2026-11-20T00:00:00+08:00.")
    ] = None,
    published_to: Annotated[str | None, typer.Option(metavar="TIME", help="RFC 3339, not included.")] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
    *,
    everything: All = False,
) -> None:
    """List the articles that can be had, the newest published first."""
    filters = {
        "channel": channel,
        "type": type,
        "category": category,
        "published_from": published_from,
        "published_to": published_to,
        "cursor": cursor,
    }
    page = run.client.articles(filters, wanted(limit, everything))
    run.out.answer(
        page,
        lambda: run.out.table(
            ["group id", "type", "category", "title", "published"],
            [
                [article[key] for key in ("group_id", "type", "category", "title", "published_at")]
                for article in page["data"]
            ],
            "No articles.",
        ),
    )
    run.out.more(page)


def show(
    run: Run,
    group_id: Annotated[str, typer.Argument(help="The service's GroupId.", metavar="GROUP_ID")],
    channel: Channel = None,
    *,
    versions: Annotated[bool, typer.Option("--versions", help="With what was read of it before.")] = False,
) -> None:
    """Show an article: what is known of it, and the service's own JSON."""
    article = run.client.article(group_id, channel, versions=versions)

    def show_it() -> None:
        inner = ("article", "media", "versions")
        run.out.fields((name, value) for name, value in article.items() if name not in inner)
        for name in inner:
            if article[name]:
                run.out.block(name, json.dumps(article[name], ensure_ascii=False, indent=2))

    run.out.answer(article, show_it)


def refresh(run: Run, group_ids: GroupIds, channel: Channel = None) -> None:
    """Have articles looked at next, at most 100."""
    started = run.client.refresh(group_ids, channel)

    def show_it() -> None:
        run.out.fields(
            [
                ("run", started["run_id"]),
                ("articles", started["group_ids"]),
                ("never synced", started["unknown"]),
            ]
        )

    run.out.answer(started, show_it)
