"""Scenario switches: how today's site deviates from its happy path.

Adding one takes a line in ``SWITCHES`` and a ``value()`` or ``spend()`` where it acts; pages read them from
``/site/config``. Values that end in ``_once`` (and ``session_dies``) act the first time after they were set.
They combine freely.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .store import Store

Value = str | int


class UnknownScenarioError(ValueError):
    """A switch or a value that does not exist; the text says which ones do."""


@dataclass(frozen=True)
class Switch:
    """One switch: its value when nobody set it, what it accepts, and what it does."""

    default: Value
    accepts: str
    allows: Callable[[object], bool]
    does: str


def _one_of(default: str, *others: str, does: str) -> Switch:
    values = (default, *others)
    return Switch(default, "|".join(values), lambda value: value in values, does)


def _number(default: int, low: int, high: int, *, does: str) -> Switch:
    def allows(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return Switch(default, f"{low}..{high}", allows, does)


def _timed(default: str, *others: str, does: str) -> Switch:
    """Fixed values and ``slow:<ms>``."""
    values = (default, *others)

    def allows(value: object) -> bool:
        return value in values or (isinstance(value, str) and re.fullmatch(r"slow:\d{1,6}", value) is not None)

    return Switch(default, "|".join((*values, "slow:<ms>")), allows, does)


SWITCHES: Mapping[str, Switch] = {
    "pace": _number(80, 1, 5000, does="milliseconds a small thing takes to render"),
    "qr": _one_of("png", "svg", does="how the login page draws its QR code"),
    "qr_life": _number(60, 1, 3600, does="seconds a QR code lives"),
    "qr_refused": _one_of("never", "risk", does="risk control refuses every scan: 该二维码异常"),
    "logged_out": _one_of(
        "redirect", "stay", does="logged-out visits go to / or show the login panel in place"
    ),
    "login_lands": _one_of(
        "home", "front", does="a login leads to the home page, or is left at /?is_new_connect=0&is_new_user=0"
    ),
    "second_verification": _one_of(
        *("off", "login", "publish", "both", "enter"),
        does="where 身份验证 is asked for: after the scan, at the first publish, on entering the upload page",
    ),
    "verification": _one_of(
        "sms", "face", does="身份验证 by an SMS code, or by a QR code for a look at the face"
    ),
    "after_verification": _one_of(
        "form", "resend", does="what passing at a publish leads to: the form again, or the work is sent at once"
    ),
    "sms_pause": _number(60, 1, 3600, does="seconds until another SMS can be asked for"),
    "captcha": _one_of("off", "login", "enter", "publish", does="where a puzzle has to be solved"),
    "challenge_at": _one_of(
        "answer",
        "click",
        does="a publish is refused with a challenge, or the page asks before it sends anything",
    ),
    "challenge_words": _one_of(
        "told", "none", does="whether the refusal that brings a challenge says what for (status_msg)"
    ),
    "sends_late": _one_of(
        *("never", "toast", "captcha"),
        does="a moment after a toast that refuses, or a captcha that passes by itself, the page sends the work",
    ),
    "login_flash": _one_of(
        "off", "on", does="the login panel shows for a moment, until the page knows who is there"
    ),
    "nickname": Switch(
        "",
        "any text of up to 30 characters; empty: the account's own",
        lambda value: isinstance(value, str) and len(value) <= 30,
        "what the account calls itself",
    ),
    "post_page": _one_of("v2", "v1", does="address of the post page; v1 renders its form at once"),
    "form": _one_of("late", "early", does="v2 renders its form after the upload, or while it runs"),
    "description": _one_of("empty", "filename", does="what the description starts with"),
    "declaration": _one_of("new", "old", does="the six self-declarations of summer 2026, or the six before"),
    "declaration_skip": _one_of("refused", "allowed", does="whether 直接发布 works without a declaration"),
    "popovers": _one_of("on", "off", does="shepherd popovers on the first visit of a login"),
    "draft_bar": _one_of("on", "off", does="offer to go on with an unfinished upload"),
    "upload": _timed(
        "ok",
        "fail_once",
        "fail",
        "hold",
        "stall",
        does="fail the next upload or all; keep each part for as long as this says hold; never answer; delay",
    ),
    "session_dies": _one_of(
        "never",
        "during_upload",
        "at_cover",
        "at_publish",
        does="the login ends at the next part of an upload, at a cover, which a toast tells, or at create_v2",
    ),
    "too_long": _one_of(
        "refused",
        "clipped",
        does="a description beyond the limit is refused at 发布, or clipped as it is typed",
    ),
    "user_info": _timed(
        *("ok", "error", "html", "captcha", "stranger", "browser_only", "http_only"),
        does="user/info: a 500, a page, a captcha or 用户未登录 for everybody; an answer for browsers only, or "
        "for all but browsers, and then even to a session that is over",
    ),
    "topics": _timed(
        *("suggested", "missing", "by_space"),
        does="a topic is suggested by its name, at once or late, the hot ones of a bare # on show until then; "
        "or only others are; or it becomes one when a blank follows it",
    ),
    "cover": _one_of("mandatory", "optional", does="whether a work needs a cover"),
    "cover_first": _one_of(
        "clicked",
        "vertical",
        "horizontal",
        does="the step at which the cover dialog opens, whichever slot it was",
    ),
    "cover_dialog": _one_of(
        "both", "single", does="the cover dialog leads from one slot to the other, or has only its own"
    ),
    "cover_confirm": _one_of(
        "off", "on", "always", does="ask again at 完成 when only one of the two covers is set, or always"
    ),
    "cover_residual": _one_of(
        "off", "on", does="the cover dialog stays open after 完成, though it has done its work"
    ),
    "forgets": _one_of(
        *("nothing", "declaration", "schedule"),
        does="what was set in its dialog and the form does not keep, at once or a moment later",
    ),
    "schedule_zone": _one_of("shanghai", "browser", does="by whose clock 定时发布 is written"),
    "publish": _timed("ok", "busy_once", "rejected", "lost", does="what create_v2 answers, and when"),
    "rejection": _one_of(
        *("violation", "review", "forbidden", "failed", "duplicate"),
        does="in which words publish=rejected refuses",
    ),
    "item_id": _one_of("string", "number", does="JSON type of create_v2's item_id"),
    "works_lag": _number(0, 0, 86400, does="seconds until a new work shows in the works list"),
    "hashes": _one_of("captured", "random", does="suffixes of class names: as captured, or new in every run"),
    "drift": _one_of(
        *("off", "spaces", "wrappers", "tags", "removed"),
        does="a redesign: blanks within texts, elements around elements, other tags than captured; or "
        "谁可以看 is not in the form any more",
    ),
}


class Scenario:
    """The switches as set, for everybody (user ``""``) or for one account."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def set(self, changes: Mapping[str, object]) -> None:
        """Check all of them, then set all of them; ``user`` among them limits the rest to that account."""
        user = changes.get("user", "")
        if not isinstance(user, str):
            raise UnknownScenarioError("user: a uid, as text")
        named = {name: value for name, value in changes.items() if name != "user"}
        for name, value in named.items():
            switch = SWITCHES.get(name)
            if switch is None:
                raise UnknownScenarioError(f"no switch {name!r}; there are {', '.join(SWITCHES)}")
            if not switch.allows(value):
                raise UnknownScenarioError(f"{name}: {value!r} is not one of {switch.accepts}")
        for name, value in named.items():
            self._store.run(
                "INSERT INTO scenario (user, name, value) VALUES (?, ?, ?) "
                "ON CONFLICT (user, name) DO UPDATE SET value = excluded.value, spent = 0",
                (user, name, json.dumps(value)),
            )

    def all(self, user: str = "") -> dict[str, Value]:
        """The whole set as it acts on this account."""
        return {name: self.value(name, user) for name in SWITCHES}

    def value(self, name: str, user: str = "") -> Value:
        """What this switch says for this account: its own setting, else everybody's, else the default."""
        found = self._found(name, user)
        return SWITCHES[name].default if found is None else found[1]

    def number(self, name: str, user: str = "") -> int:
        """The value of a numeric switch."""
        return int(self.value(name, user))

    def delay(self, name: str, user: str = "") -> float:
        """Seconds in ``slow:<ms>``, else 0."""
        value = str(self.value(name, user))
        return int(value.removeprefix("slow:")) / 1000 if value.startswith("slow:") else 0.0

    def spend(self, name: str, value: str, user: str = "") -> bool:
        """Whether a one-time value is set and still unspent; it is spent from now on."""
        found = self._found(name, user)
        if found is None or found[1] != value:
            return False
        sql = "UPDATE scenario SET spent = 1 WHERE user = ? AND name = ? AND spent = 0"
        return self._store.run(sql, (found[0], name)) == 1

    def reset(self) -> None:
        self._store.run("DELETE FROM scenario")

    def _found(self, name: str, user: str) -> tuple[str, Value] | None:
        row = self._store.row(
            "SELECT user, value FROM scenario WHERE name = ? AND user IN (?, '') ORDER BY user DESC LIMIT 1",
            (name, user),
        )
        if row is None:
            return None
        value: Value = json.loads(row["value"])
        return row["user"], value
