"""`publisher webhooks …`."""

from typing import Annotated

import typer

from publisher.client import Document
from publisher.command import Run, command, group
from publisher.commands.paging import All, Limit, wanted

WebhookId = Annotated[str, typer.Argument(help="The id of the endpoint.", metavar="WEBHOOK_ID")]


def add_to(app: typer.Typer) -> None:
    webhooks = group(app, "webhooks", "Addresses that are told what happens (Standard Webhooks).")
    command(webhooks, "list")(list_webhooks)
    command(webhooks, "create")(create)
    command(webhooks, "delete")(delete)
    command(webhooks, "rotate")(rotate)
    command(webhooks, "test")(test)
    command(webhooks, "deliveries")(deliveries)


def list_webhooks(run: Run) -> None:
    """List the endpoints, without their secrets."""
    found = run.client.webhooks()
    columns = ("id", "url", "events", "enabled", "failing_since")
    run.out.answer(
        found,
        lambda: run.out.table(
            [column.replace("_", " ") for column in columns],
            [[hook.get(column) for column in columns] for hook in found["data"]],
            "No webhooks.",
        ),
    )


def create(
    run: Run,
    url: Annotated[str, typer.Argument(help="An https URL on a public address.", metavar="URL")],
    event: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE", help="What it is told of, such as task.published or task.*; repeat it."),
    ] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="For people.")] = None,
) -> None:
    """Have an address told what happens. Its signing secret is shown this once."""
    given = {"url": url, "events": event or None, "description": description}
    _show_new(run, run.client.create_webhook({name: value for name, value in given.items() if value}))


def delete(
    run: Run,
    webhook_id: WebhookId,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Tell this address no more."""
    run.confirm(f"Delete the webhook {webhook_id}?", yes=yes)
    deleted = run.client.delete_webhook(webhook_id)
    run.out.answer(deleted, lambda: run.out.line(f"{webhook_id} is deleted."))


def rotate(
    run: Run,
    webhook_id: WebhookId,
    overlap_hours: Annotated[
        int | None, typer.Option(metavar="N", help="How long the old secret signs, too. 0: no more.")
    ] = None,
) -> None:
    """Get a new signing secret, which is shown this once. The old one signs, too, for a while."""
    body = {} if overlap_hours is None else {"overlap_hours": overlap_hours}
    _show_new(run, run.client.rotate_webhook(webhook_id, body))


def test(run: Run, webhook_id: WebhookId) -> None:
    """Send the address a test; `webhooks deliveries` shows what it answered."""
    sent = run.client.test_webhook(webhook_id)
    run.out.answer(sent, lambda: run.out.fields(sent.items()))


def deliveries(run: Run, webhook_id: WebhookId, limit: Limit = 20, *, everything: All = False) -> None:
    """List what was sent to an address, newest first, and what it answered."""
    page = run.client.deliveries(webhook_id, wanted(limit, everything))
    columns = ("id", "type", "status", "tries", "created_at", "next_try_at")
    run.out.answer(
        page,
        lambda: run.out.table(
            [column.replace("_", " ") for column in columns],
            [[delivery.get(column) for column in columns] for delivery in page["data"]],
            "Nothing yet.",
        ),
    )
    run.out.more(page)


def _show_new(run: Run, webhook: Document) -> None:
    run.out.answer(webhook, lambda: run.out.fields(webhook.items()))
    run.out.say("The secret is shown this once: the receiver verifies signatures with it.", "bold")
