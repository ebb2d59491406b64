"""`publisher publish`."""

import shlex
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from publisher.client import Document
from publisher.command import Run, command
from publisher.commands.showing import Timeout, Wait, watch
from publisher.errors import Unreachable
from publisher.files import Kind, is_address, media_url
from publisher.progress import FileProgress


def add_to(app: typer.Typer) -> None:
    command(app, "publish")(publish)


def publish(
    run: Run,
    video: Annotated[
        str,
        typer.Argument(
            metavar="FILE_OR_URL",
            help="The video: a file, which is uploaded; an https URL on a public address; or the upload://… of "
            "an upload.",
        ),
    ],
    account: Annotated[str, typer.Option(metavar="NAME", help="Your name of the account.")],
    title: Annotated[str, typer.Option(metavar="TEXT", help="1 to 30 characters.")],
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="At most 1000 characters.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="A topic; at most 5, each with its own --tag.")
    ] = None,
    cover: Annotated[
        str | None,
        typer.Option(metavar="FILE_OR_URL", help="A picture; else Douyin's first recommended frame is taken."),
    ] = None,
    claim_type: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The creator's declaration, such as 内容由AI生成.")
    ] = None,
    claim_place: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="With 自行拍摄: where it was shot; one --claim-place a level: country, province, city.",
        ),
    ] = None,
    claim_date: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="With 自行拍摄: when it was shot.")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When it appears: 'YYYY-MM-DD HH:mm' in the account's time zone, or RFC 3339 with an offset.",
        ),
    ] = None,
    review: Annotated[
        bool | None,
        typer.Option(
            "--review/--no-review",
            help="Fill the form, then wait for `tasks approve`. Else as the account has it.",
        ),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="The same key and request make one task, for 24 hours. One is made where none is given.",
        ),
    ] = None,
    *,
    allow_duplicate: Annotated[
        bool,
        typer.Option(
            "--allow-duplicate", help="Although the account had this video with this title within 24 hours."
        ),
    ] = False,
    wait: Wait = False,
    timeout: Timeout = None,
) -> None:
    """Publish a video.

    The answer is a task, which goes on by itself; with --wait it is watched until it is over.
    """
    given: dict[str, Any] = {
        "title": title,
        "description": description,
        "tags": tag or None,
        "claim_type": claim_type,
        "claim_place": claim_place or None,
        "claim_date": claim_date,
        "schedule_time": schedule,
        "account_name": account,
        "manual_review": review,
        "allow_duplicate": allow_duplicate or None,
    }
    body = {name: value for name, value in given.items() if value is not None}
    body["video_url"] = _media(run, video, "video")
    if cover is not None:
        body["cover_path"] = _media(run, cover, "image")
    accepted = _submit(run, body, idempotency_key or str(uuid.uuid4()))
    if wait:
        run.out.say(f"Task {accepted['id']}")
        watch(run, accepted["id"], timeout)
        return
    run.out.answer(
        accepted,
        lambda: run.out.fields(
            [("id", accepted["id"]), ("state", accepted["state"]), ("publish at", accepted["publish_at"])]
        ),
    )


def _media(run: Run, file_or_url: str, kind: Kind) -> str:
    if is_address(file_or_url):
        return file_or_url
    with FileProgress(run.out, Path(file_or_url).name) as meter:
        return media_url(run.client, file_or_url, kind, meter)


def _submit(run: Run, body: Document, key: str) -> Document:
    try:
        return run.client.publish(body, key)
    except Unreachable as error:
        media = " and ".join(body[name] for name in ("video_url", "cover_path") if name in body)
        raise Unreachable(
            f"{error.cause} It is not known whether the task was made.",
            f"Repeat the command with --idempotency-key {shlex.quote(key)} and, in place of files, {media}: "
            "it makes the task once, whatever has arrived.",
            request_id=error.request_id,
        ) from None
