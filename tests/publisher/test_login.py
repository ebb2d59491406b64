"""A login as a person sees it in a terminal: the command in one, and the API's answers as scripted."""

from __future__ import annotations

import base64
import json
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from chalicelib.clock import to_rfc3339
from tests.publisher.conftest import problem
from tests.publisher.terminal import Session, Terminal
from tests.publisher.test_qr import LINK, code_png

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.publisher.conftest import Command, Scripted

# A phone reads both; the second fits into the smallest terminals.
_SHORT = "https://v.douyin.com/qr?token=0123456789"
_OTHER = _SHORT + "ab"
_ASKED: dict[str, Any] = {
    "phone": "183******91",
    "asked_at": "2026-11-21T12:00:00Z",
    "expires_at": "2026-11-21T12:05:00Z",
    "resend_at": "2026-11-21T12:01:00Z",
    "tries": 0,
    "complaint": None,
}


def login(state: str, code: str | None = None, **members: Any) -> tuple[int, dict[str, str], Any]:
    """What the API says of a login, as its model has it."""
    status = state if state in ("success", "failed", "expired") else "pending"
    return (
        200,
        {},
        {
            "login_id": "the-login",
            "status": status,
            "msg": f"msg of {state}",
            "state": state,
            "account_name": "me",
            "qr_code_base64": code and base64.b64encode(code_png(code)).decode(),
            "qr_expires_at": to_rfc3339(datetime.now(UTC) + timedelta(seconds=50)),
            "expires_at": to_rfc3339(datetime.now(UTC) + timedelta(seconds=300)),
            "verification": None,
            "error": None,
            **members,
        },
    )


@pytest.fixture
def there(command: Command, scripted: Scripted) -> Command:
    command.variables["PUBLISHER_URL"] = scripted.origin
    return command


def sit(command: Command, *arguments: str, **terminal: Any) -> Session:
    return Session([*command.argv, "login", "me", *arguments], command.environment, **terminal)


def shows_code(terminal: Terminal) -> bool:
    return (
        any(character in "▀▄█" for row in terminal.rows for character, *_ in row) and "of qr" in terminal.text
    )


@pytest.mark.parametrize("dark", [True, False])
@pytest.mark.parametrize(("size", "link"), [((100, 50), LINK), ((40, 24), _SHORT)])
def test_the_code_is_read_from_the_terminal_and_replaced_when_it_changes(
    there: Command, scripted: Scripted, size: tuple[int, int], link: str, dark: bool
) -> None:
    scripted.answers(login("qr_ready", link))
    with sit(there, size=size, dark=dark) as session:
        assert session.until(shows_code).code == link
        assert "This code lives" in session.terminal.text
        scripted.answers(login("qr_ready", _OTHER))
        session.until(lambda terminal: shows_code(terminal) and readable(terminal) == _OTHER)
        scripted.answers(login("scanned"))
        assert "▀" not in session.shows("msg of scanned").text
        scripted.answers(login("success"))
        assert session.ended() == 0
    assert "me: msg of success" in session.terminal.text


def readable(terminal: Terminal) -> str | None:
    """The code, where the screen is not just being redrawn."""
    try:
        return terminal.code
    except AssertionError:
        return None


@pytest.mark.parametrize(("arguments", "dark"), [((), True), (("--light",), False)])
def test_without_colours_it_is_read_on_the_background_that_it_was_made_for(
    there: Command, scripted: Scripted, arguments: tuple[str, ...], dark: bool
) -> None:
    scripted.answers(login("qr_ready", LINK))
    there.variables["NO_COLOR"] = "1"
    with sit(there, *arguments, dark=dark) as session:
        assert session.until(shows_code).code == LINK
        scripted.answers(login("success"))
        assert session.ended() == 0


@pytest.mark.parametrize("size", [(30, 50), (100, 10)])
def test_where_there_is_no_room_the_picture_is_kept_for_its_owner_and_goes(
    there: Command, scripted: Scripted, size: tuple[int, int]
) -> None:
    scripted.answers(login("qr_ready", LINK))
    with sit(there, size=size) as session:
        session.until(lambda terminal: "make the window larger" in terminal.text.replace("\n", ""))
        (picture,) = (there.folder / "tmp").glob("publisher-login-*.png")
        assert picture.read_bytes() == code_png(LINK)
        assert stat.S_IMODE(picture.stat().st_mode) == 0o600
        scripted.answers(login("success"))
        assert session.ended() == 0
    assert not picture.exists()


def test_a_picture_may_be_kept_beside(there: Command, scripted: Scripted) -> None:
    scripted.answers(login("qr_ready", LINK))
    picture = there.folder / "code.png"
    with sit(there, "--qr-file", str(picture)) as session:
        session.until(shows_code)
        assert picture.read_bytes() == code_png(LINK)
        scripted.answers(login("success"))
        assert session.ended() == 0
    assert not picture.exists()


def test_a_code_by_sms_is_asked_for_given_and_sent_again(there: Command, scripted: Scripted) -> None:
    scripted.answers(login("verification_required", verification=_ASKED))
    with sit(there) as session:
        session.shows("code by SMS to 183******91")
        session.type("r\n")
        session.shows("Another code is on its way")
        scripted.answers_to["/verification"] = 422, {}, problem(422, retryable=False)
        session.type("12\n")
        session.shows("What happened. What to do.")
        del scripted.answers_to["/verification"]
        scripted.answers(
            login("verification_required", verification={**_ASKED, "tries": 1, "complaint": "错了"})
        )
        session.shows("错了")
        session.type("123456\n")
        session.shows("Douyin is checking it")
        scripted.answers(login("success"))
        assert session.ended() == 0
    given = [json.loads(told.body) for told in scripted.told if told.path.endswith("/verification")]
    assert given[0] == {"resend": True}
    assert given[-1] == {"code": "123456"}


def test_a_code_by_sms_may_come_from_a_pipe(there: Command, scripted: Scripted) -> None:
    waits = login("verification_required", verification=_ASKED)
    scripted.answers(login("starting"), waits, waits, login("verifying"), login("success"))
    assert there.process("login", "me", stdin="123456\n").status == 0
    assert [json.loads(told.body) for told in scripted.told if told.path.endswith("/verification")] == [
        {"code": "123456"}
    ]


def test_where_nobody_can_give_the_code_the_login_is_canceled(there: Command, scripted: Scripted) -> None:
    scripted.answers(login("verification_required", verification=_ASKED))
    ran = there.process("login", "me")
    assert ran.status == 4
    assert "nobody can type it here" in ran.err
    assert (scripted.told[-1].method, scripted.told[-1].path) == ("DELETE", "/api/v1/accounts/login/the-login")


def test_ctrl_c_cancels_the_login(there: Command, scripted: Scripted) -> None:
    scripted.answers(login("qr_ready", LINK))
    with sit(there) as session:
        session.until(shows_code)
        session.type("\x03")
        assert session.ended() == 130
    assert "Traceback" not in session.terminal.text
    assert (scripted.told[-1].method, scripted.told[-1].path) == ("DELETE", "/api/v1/accounts/login/the-login")


def test_a_login_that_fails_says_why_and_what_to_do(there: Command, scripted: Scripted) -> None:
    error = {"code": "platform.login_refused", "next_step": "Use its proxy.", "detail": "Refused."}
    scripted.answers(login("starting"), login("failed", error=error))
    ran = there.process("login", "me", "--json")
    assert (ran.status, ran.json["error"]["code"]) == (1, "platform.login_refused")
    assert "Next: Use its proxy." in ran.err


def test_into_a_pipe_each_code_is_written_once_and_can_be_read(there: Command, scripted: Scripted) -> None:
    scripted.answers(*[login("qr_ready", LINK)] * 3, login("qr_ready", _OTHER), login("success"))
    ran = there.process("login", "me", "--json")
    assert "qr_code_base64" not in ran.json
    assert "\x1b" not in ran.err
    blocks = [line for line in ran.err.splitlines() if set(line) & set("▀▄█")]
    assert len(blocks) % 2 == 0
    for number, link in enumerate((LINK, _OTHER)):
        half = len(blocks) // 2
        terminal = Terminal(200)
        terminal.write("\r\n".join(blocks[number * half : (number + 1) * half]))
        assert terminal.code == link


def test_without_half_blocks_the_code_is_drawn_with_backgrounds(there: Command, scripted: Scripted) -> None:
    scripted.answers(login("qr_ready", LINK))
    there.variables |= {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    with sit(there, size=(120, 60)) as session:
        terminal = session.shows("This code lives")
        papers = [[paper for _, _, paper in row] for row in terminal.rows if len({cell[2] for cell in row}) > 1]
        assert len(papers) >= 29
        scripted.answers(login("success"))
        assert session.ended() == 0


def test_preferences_of_the_browser_come_with_the_login(there: Command, scripted: Scripted) -> None:
    scripted.answers(login("starting"), login("success"))
    ran = there.process(
        *("login", "me", "--proxy", "http://proxy.example.com:8080", "--proxy-credentials"),
        *("--time-zone", "Asia/Tokyo"),
        stdin="somebody\ncanary-password\n",
    )
    assert ran.status == 0, ran.err
    assert "canary" not in ran.out + ran.err
    assert json.loads(scripted.told[0].body) == {
        "account_name": "me",
        "preferences": {
            "time_zone": "Asia/Tokyo",
            "proxy": {
                "url": "http://proxy.example.com:8080",
                "username": "somebody",
                "password": "canary-password",
            },
        },
    }


@pytest.fixture(autouse=True)
def _pictures_are_gone(command: Command) -> Iterator[None]:
    yield
    assert not list(command.folder.glob("tmp/publisher-login-*"))
