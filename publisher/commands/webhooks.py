"""`publisher webhooks …`."""

from typing import Annotated

import typer

from publisher.command import Run, command, group
from publisher.commands.paging import All, Limit, wanted

WebhookId = Annotated[str, typer.Argument(help="The id of the endpoint.", metavar="WEBHOOK_ID")]


def add_to(app: typer.Typer) -> None:
    webhooks = group(app, "webhooks", "Addresses that are told what happens (Standard Webhooks).")
    command(webhooks, "list")(list_webhooks)
    command(webhooks, "create")(create)
    command(webhooks, "delete")(delete)
    command(webhooks, "test")(test)
    command(webhooks, "deliveries")(deliveries)


def list_webhooks(run: Run) -> None:
    """List the endpoints, without their secrets."""
    found = run.client.webhooks()
    columns = ("id", "url", "events", "state")
    run.out.answer(
        found,
        lambda: run.out.table(
            columns, [[hook.get(column) for column in columns] for hook in found["data"]], "No webhooks."
        ),
    )


def create(
    run: Run,
    url: Annotated[str, typer.Argument(help="An https URL on a public address.", metavar="URL")],
    event: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE", help="What it is told of, such as task.published or task.*; repeat it."),
    ] = None,
) -> None:
    """Have an address told what happens. Its signing secret is shown this once."""
    made = run.client.create_webhook({"url": url, **({"events": event} if event else {})})
    run.out.answer(made, lambda: run.out.fields(made.items()))
    run.out.say("The secret is shown this once: the receiver verifies signatures with it.", "bold")


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


def test(run: Run, webhook_id: WebhookId) -> None:
    """Send the address a test; `webhooks deliveries` shows what it answered."""
    sent = run.client.test_webhook(webhook_id)
    run.out.answer(sent, lambda: run.out.fields(sent.items()))


def deliveries(run: Run, webhook_id: WebhookId, limit: Limit = 20, *, everything: All = False) -> None:
    """List what was sent to an address, newest first, and what it answered."""
    page = run.client.deliveries(webhook_id, wanted(limit, everything))
    columns = list(dict.fromkeys(key for delivery in page["data"] for key in delivery))
    run.out.answer(
        page,
        lambda: run.out.table(
            columns, [[delivery.get(column) for column in columns] for delivery in page["data"]], "Nothing yet."
        ),
    )
    run.out.more(page)
