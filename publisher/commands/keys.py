"""`publisher keys …`."""

from typing import Annotated, Any

import typer

from publisher.client import Document
from publisher.command import Run, command, group

KeyId = Annotated[
    str, typer.Argument(help="The id of the key: the part between sp_live_ and its secret.", metavar="KEY_ID")
]
Expiry = Annotated[str | None, typer.Option(metavar="TIME", help="RFC 3339, with an offset.")]


def add_to(app: typer.Typer) -> None:
    keys = group(app, "keys", "API keys: who may do what.")
    command(keys, "list")(list_keys)
    command(keys, "create")(create)
    command(keys, "rotate")(rotate)
    command(keys, "revoke")(revoke)


def list_keys(run: Run) -> None:
    """List the API keys, without their secrets."""
    found = run.client.keys()
    columns = ("id", "name", "scopes", "live", "expires_at", "last_used_at")
    run.out.answer(
        found,
        lambda: run.out.table(
            [column.replace("_", " ") for column in columns],
            [[key.get(column) for column in columns] for key in found["data"]],
            "No keys.",
        ),
    )


def create(
    run: Run,
    name: Annotated[str, typer.Argument(help="For people: who uses the key, and where.", metavar="NAME")],
    scope: Annotated[
        list[str], typer.Option(metavar="SCOPE", help="What it may do, such as publish:write; repeat it.")
    ],
    expires_at: Expiry = None,
) -> None:
    """Make an API key. It is shown this once."""
    body: dict[str, Any] = {"name": name, "scopes": scope}
    _show_new(run, run.client.create_key(body | _given(expires_at=expires_at)))


def rotate(
    run: Run,
    key_id: KeyId,
    overlap_hours: Annotated[
        int | None, typer.Option(metavar="N", help="How long the old key stays live beside the new one.")
    ] = None,
    expires_at: Expiry = None,
) -> None:
    """Make a key's successor, which is shown this once. The old key lives on for a while."""
    changes = _given(overlap_hours=overlap_hours, expires_at=expires_at)
    _show_new(run, run.client.rotate_key(key_id, changes))


def revoke(
    run: Run,
    key_id: KeyId,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Revoke a key: from its next request on it is refused."""
    run.confirm(f"Revoke the key {key_id}? Whoever uses it is refused at once.", yes=yes)
    revoked = run.client.revoke_key(key_id)
    run.out.answer(revoked, lambda: run.out.line(f"{key_id} is revoked."))


def _show_new(run: Run, key: Document) -> None:
    run.out.answer(key, lambda: run.out.fields(key.items()))
    run.out.say("The key is shown this once: put it where it is kept.", "bold")


def _given(**values: Any) -> Document:
    return {name: value for name, value in values.items() if value is not None}
