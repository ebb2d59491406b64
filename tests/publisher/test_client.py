"""How a request goes: what it carries, what is repeated and what is not. Over real sockets."""

from __future__ import annotations

import email.utils
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api.meta import operations
from publisher.client import LONGEST_PAUSE, TRIES, Client, retry_after, structured
from publisher.errors import Misconfigured, Refused, Unreachable
from publisher.settings import Settings
from tests.publisher.conftest import problem

if TYPE_CHECKING:
    from pathlib import Path

    from tests.publisher.conftest import Patient, Scripted

_OK: tuple[int, dict[str, str], Any] = (200, {}, {"id": "a-task"})
_NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "passing",
    [
        pytest.param(None, id="no answer"),
        pytest.param((502, {}, b"<html>Bad gateway</html>"), id="a gateway's page"),
        pytest.param((503, {}, problem(503, retryable=True)), id="a problem that passes"),
        pytest.param((429, {"Retry-After": "7"}, problem(429, retryable=True)), id="too many requests"),
        pytest.param((409, {"Retry-After": "1"}, problem(409, retryable=True)), id="still being carried out"),
    ],
)
def test_a_post_is_repeated_with_the_same_key_and_body(
    scripted: Scripted, patient: Patient, passing: tuple[int, dict[str, str], Any] | None
) -> None:
    scripted.answers(passing, passing, _OK)
    assert patient.client.publish({"title": "一个标题"}, "my-key") == {"id": "a-task"}
    assert len(scripted.told) == 3
    assert {told.headers["idempotency-key"] for told in scripted.told} == {'"my-key"'}
    assert {told.headers["x-request-id"] for told in scripted.told} == {
        scripted.told[0].headers["x-request-id"]
    }
    assert [json.loads(told.body) for told in scripted.told] == [{"title": "一个标题"}] * 3
    assert scripted.told[0].headers["authorization"] == "Bearer sp_live_id_secret"


def test_pauses_grow_and_are_as_long_as_the_answer_wants(scripted: Scripted, patient: Patient) -> None:
    scripted.answers((503, {"Retry-After": "7"}, problem(503, retryable=True)), None, None, _OK)
    patient.client.task("an-id")
    first, second, third = patient.pauses
    assert first == 7
    assert second < third


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param((422, {}, problem(422, retryable=True)), id="a field"),
        pytest.param((404, {}, problem(404, retryable=False)), id="not found"),
        pytest.param((409, {}, problem(409, retryable=False)), id="a conflict"),
        pytest.param(
            (502, {}, problem(502, retryable=False, code="platform.login_refused")), id="the platform"
        ),
        pytest.param((500, {}, problem(500, retryable=False)), id="a fault that stays"),
    ],
)
def test_a_refusal_is_told_at_once(
    scripted: Scripted, patient: Patient, refusal: tuple[int, dict[str, str], Any]
) -> None:
    scripted.answers(refusal)
    with pytest.raises(Refused) as refused:
        patient.client.publish({}, "my-key")
    assert len(scripted.told) == 1
    assert (refused.value.cause, refused.value.next_step) == ("What happened.", "What to do.")
    assert refused.value.request_id == "the-id"


def test_what_does_not_pass_is_given_up_with_its_request_id(scripted: Scripted, patient: Patient) -> None:
    scripted.answers(None)
    with pytest.raises(Unreachable) as unreachable:
        patient.client.task("an-id")
    assert len(scripted.told) == TRIES
    assert unreachable.value.request_id == scripted.told[0].headers["x-request-id"]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((302, {"Location": "https://elsewhere.example.com/"}, b""), id="a redirect"),
        pytest.param((200, {}, b"<html>a page</html>"), id="a page"),
        pytest.param((404, {}, b'{"message": "Not Found"}'), id="another API"),
        pytest.param((200, {}, b"[1, 2]"), id="a list"),
    ],
)
def test_what_is_not_the_api_is_named_and_gets_the_key_once(
    scripted: Scripted, patient: Patient, answer: tuple[int, dict[str, str], bytes]
) -> None:
    scripted.answers(answer)
    with pytest.raises(Unreachable, match=str(answer[0])) as unreachable:
        patient.client.accounts()
    assert "PUBLISHER_URL" in unreachable.value.next_step
    assert len(scripted.told) == 1


def test_a_netrc_does_not_replace_the_key(
    scripted: Scripted, patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setattr("publisher.client.is_loopback", lambda _: False)
    monkeypatch.setenv("NO_PROXY", "*")
    scripted.answers(_OK)
    patient.client.accounts()
    assert scripted.told[0].headers["authorization"] == "Bearer sp_live_id_secret"


def test_without_a_key_none_is_sent(scripted: Scripted) -> None:
    scripted.answers(_OK)
    Client(Settings(url=scripted.origin)).accounts()
    assert "authorization" not in scripted.told[0].headers


@pytest.mark.parametrize(
    ("name", "path"),
    [("小明", "%E5%B0%8F%E6%98%8E"), ("../keys", "..%2Fkeys"), ("a?b#c", "a%3Fb%23c"), ("...", "...")],
)
def test_a_name_stays_within_its_place_in_the_path(
    scripted: Scripted, patient: Patient, name: str, path: str
) -> None:
    scripted.answers(_OK)
    patient.client.delete_account(name)
    assert scripted.told[0].path == f"/api/v1/accounts/{path}"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_lead_elsewhere_is_not_asked_for(
    scripted: Scripted, patient: Patient, name: str
) -> None:
    with pytest.raises(Misconfigured, match="no name"):
        patient.client.delete_account(name)
    assert scripted.told == []


def test_a_list_takes_as_many_pages_as_it_needs_and_no_more(scripted: Scripted, patient: Patient) -> None:
    def page(numbers: range, cursor: str | None) -> tuple[int, dict[str, str], Any]:
        return 200, {}, {"data": list(numbers), "next_cursor": cursor}

    scripted.answers(page(range(100), "one"), page(range(0), "two"), page(range(100, 130), "three"))
    found = patient.client.tasks({"status": "failed", "state": None}, 130)
    assert found == {"data": list(range(130)), "next_cursor": "three"}
    assert [told.path.partition("?")[2] for told in scripted.told] == [
        "status=failed&limit=100",
        "status=failed&cursor=one&limit=30",
        "status=failed&cursor=two&limit=30",
    ]

    scripted.answers(page(range(2), "one"), page(range(2, 3), None))
    assert patient.client.tasks({}) == {"data": [0, 1, 2], "next_cursor": None}


def test_the_apis_clock_is_followed(scripted: Scripted, patient: Patient) -> None:
    scripted.answers(_OK)
    patient.client.accounts()
    assert abs(patient.client.now() - datetime.now(UTC)) < timedelta(seconds=60)


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=255))
def test_every_key_is_written_as_the_header_has_it(key: str) -> None:
    written = structured(key)
    assert written[0] == written[-1] == '"'
    assert written[1:-1].replace('\\"', '"').replace("\\\\", "\\") == key or "\\" in key
    assert _unescaped(written[1:-1]) == key


def _unescaped(text: str) -> str:
    found, characters = "", iter(text)
    for character in characters:
        assert character != '"'
        found += next(characters) if character == "\\" else character
    return found


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "键"])
def test_a_key_that_no_header_can_hold_is_refused(key: str) -> None:
    with pytest.raises(Misconfigured, match="1 to 255"):
        structured(key)


@given(st.text(max_size=60))
def test_whatever_stands_in_retry_after_is_a_pause_that_ends(value: str) -> None:
    assert 0 <= retry_after(value, _NOW) <= LONGEST_PAUSE


@given(st.integers(0, 59))
def test_retry_after_may_be_seconds_or_a_date(seconds: int) -> None:
    date = email.utils.format_datetime(_NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after(str(seconds), _NOW) == retry_after(date, _NOW) == seconds


def test_routes_that_the_client_knows_are_routes_of_the_api(scripted: Scripted, patient: Patient) -> None:
    """Each method is called once, and its request is looked up among the API's own declarations."""
    scripted.answers((200, {}, {"data": [], "next_cursor": None}))
    client = patient.client
    client.publish({}, "key")
    client.task("0")
    client.tasks({})
    for action in ("approve", "reject", "cancel", "retry"):
        client.act("0", action)
    client.resolve("0", live=True)
    client.give_task_code("0", "1234")
    client.evidence("0")
    client.open_upload({})
    client.accounts()
    client.account("0")
    client.prefer("0", {})
    client.check_account("0")
    client.delete_account("0")
    client.start_login("0")
    client.login("0")
    client.cancel_login("0")
    client.give_login_code("0", "1234")
    client.resend_login_code("0")
    client.articles({})
    client.article("0")
    client.refresh(["0"])
    client.sync()
    client.run_sync()
    client.keys()
    client.create_key({})
    client.rotate_key("0", {})
    client.revoke_key("0")
    client.webhooks()
    client.create_webhook({})
    client.delete_webhook("0")
    client.rotate_webhook("0", {})
    client.test_webhook("0")
    client.deliveries("0")
    declared = {(operation.method, _shape(operation.path)) for operation in operations()}
    called = {(told.method, _shape(told.path.partition("?")[0])) for told in scripted.told}
    assert called <= declared
    public = {name for name, value in vars(Client).items() if callable(value) and not name.startswith("_")}
    assert len(public - {"now"}) == 33


def _shape(path: str) -> str:
    return "/".join("*" if part == "0" or part.startswith("{") else part for part in path.split("/"))
