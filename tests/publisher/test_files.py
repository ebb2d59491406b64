"""Uploads whose storage fails, over real sockets."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from publisher.errors import Refused, Unreachable, UnusableFile
from publisher.files import fetch, is_address, media_url

if TYPE_CHECKING:
    from pathlib import Path

    from tests.publisher.conftest import Patient, Scripted

_CONTENT = b"not a video, but the storage does not ask" * 100_000
_DONE: tuple[int, dict[str, str], Any] = (200, {}, b"")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "v i d e o.MP4"
    path.write_bytes(_CONTENT)
    return path


@pytest.fixture
def storage(scripted: Scripted) -> Scripted:
    """The API gives leave, and the same server is the storage."""
    ticket = {
        "upload_id": "1",
        "url": f"{scripted.origin}/storage?signature=x",
        "method": "PUT",
        "headers": {"Content-Type": "video/mp4", "If-None-Match": "*"},
        "expires_at": "later",
        "media_url": "upload://1",
    }
    scripted.answers_to["/api/v1/uploads"] = 200, {}, ticket
    return scripted


def _sent(storage: Scripted) -> list[Any]:
    return [told for told in storage.told if told.path.startswith("/storage")]


def _upload(patient: Patient, file: Path) -> tuple[str, dict[str, list[int]]]:
    told: dict[str, list[int]] = {}
    address = media_url(
        patient.client, str(file), "video", lambda doing, done, _: told.setdefault(doing, []).append(done)
    )
    return address, told


@pytest.mark.parametrize(
    "before",
    [
        pytest.param([], id="at once"),
        pytest.param([None], id="no answer"),
        pytest.param([(503, {}, b"<Error><Code>SlowDown</Code></Error>")], id="too busy"),
    ],
)
def test_the_whole_file_arrives_and_no_key_with_it(
    storage: Scripted, patient: Patient, file: Path, before: list[Any]
) -> None:
    storage.answers(*before, _DONE)
    address, told = _upload(patient, file)
    assert address == "upload://1"
    sent = _sent(storage)
    assert len(sent) == len(before) + 1
    for request in sent:
        assert hashlib.sha256(request.body).digest() == hashlib.sha256(_CONTENT).digest()
        assert request.headers["content-length"] == str(len(_CONTENT))
        assert request.headers["if-none-match"] == "*"
        assert "authorization" not in request.headers
        assert "transfer-encoding" not in request.headers
    for doing in ("checksum", "upload"):
        assert told[doing][-1] == len(_CONTENT)


def test_an_upload_whose_answer_was_lost_has_arrived(storage: Scripted, patient: Patient, file: Path) -> None:
    storage.answers(None, (412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"))
    assert _upload(patient, file)[0] == "upload://1"


def test_a_file_that_the_storage_refuses_is_told(storage: Scripted, patient: Patient, file: Path) -> None:
    storage.answers((400, {}, b"<Error><Code>BadDigest</Code></Error>"))
    with pytest.raises(Refused, match="BadDigest"):
        _upload(patient, file)
    assert len(_sent(storage)) == 1


@pytest.mark.parametrize(("answer", "kind"), [(None, Unreachable), ((503, {}, b""), Refused)])
def test_storage_that_does_not_come_back_is_given_up(
    storage: Scripted, patient: Patient, file: Path, answer: Any, kind: type[Exception]
) -> None:
    storage.answers(answer)
    with pytest.raises(kind):
        _upload(patient, file)
    assert len(_sent(storage)) == 3


def test_a_folder_is_no_file(patient: Patient, tmp_path: Path) -> None:
    folder = tmp_path / "folder.mp4"
    folder.mkdir()
    with pytest.raises(UnusableFile, match="cannot be read"):
        _upload(patient, folder)


@pytest.mark.parametrize("text", ["https://e.cn/v.mp4", "upload://1", "HTTP://x", "s3://bucket/key"])
def test_addresses_are_left_as_they_are(patient: Patient, text: str) -> None:
    assert is_address(text)
    assert media_url(patient.client, text, "video", lambda *_: None) == text


@pytest.mark.parametrize("text", ["video.mp4", "./a:b.mp4", "/x/y.mp4", "C:\\videos\\v.mp4", "a b://x"])
def test_anything_else_is_a_file(text: str) -> None:
    assert not is_address(text)


def test_what_cannot_be_fetched_says_so(scripted: Scripted) -> None:
    scripted.answers((403, {}, b"<Error><Code>AccessDenied</Code></Error>"))
    with pytest.raises(Unreachable, match="could not be fetched"):
        fetch(f"{scripted.origin}/picture")
    scripted.answers((200, {}, b"picture"))
    assert fetch(f"{scripted.origin}/picture") == b"picture"
