"""Bad input of each kind gets a clear problem document that names the field, the limit and the fix."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from chalicelib.accounts.store import Profile
from chalicelib.clock import SHANGHAI, utc_now

if TYPE_CHECKING:
    from chalicelib.accounts.store import AccountStore
    from tests.conftest import Api

pytestmark = pytest.mark.system

PROBLEM_MEMBERS = {
    "type",
    "title",
    "status",
    "detail",
    "instance",
    "code",
    "retryable",
    "next_step",
    "request_id",
    "errors",
}


def assert_problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem.keys() >= PROBLEM_MEMBERS
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    return problem


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("colour", "red", "not known"),
        ("title", None, "string"),
        ("title", "", "empty"),
        ("title", "   ", "blank"),
        ("title", "a\nb", "single line"),
        ("title", "字" * 31, "at most 30"),
        ("title", 5, "string"),
        ("description", "字" * 1001, "at most 1000"),
        ("tags", ["a", "b", "c", "d", "e", "f"], "at most 5"),
        ("tags", ["a", "#a"], "repeat"),
        ("tags", ["two words"], "without blanks"),
        ("tags", [""], "1 to 30"),
        ("tags", "tag1,tag2", "array"),
        ("claim_type", "原创", "内容由AI生成"),
        ("claim_place", ["中国大陆"], "claim_type 自行拍摄 only"),
        ("claim_date", "2026-02-28", "claim_type 自行拍摄 only"),
        ("schedule_time", "tomorrow", "YYYY-MM-DD HH:mm"),
        ("schedule_time", "2026-13-01 10:00", "YYYY-MM-DD HH:mm"),
        ("schedule_time", "2030-01-01T10:00:00", "offset"),
        ("schedule_time", "2020-01-01 10:00", "past"),
        ("schedule_time", "2999-01-01 10:00", "366 days"),
        ("video_url", "video.mp4", "absolute"),
        ("video_url", "file:///etc/passwd", "absolute"),
        ("cover_path", "/tmp/cover.png", "absolute"),
        ("account_name", "no spaces", "letters"),
        ("account_name", "../other", "letters"),
        ("account_name", "login", "not the word 'login'"),
        ("account_name", "x" * 65, "1 to 64"),
        ("manual_review", "yes", "boolean"),
        ("manual_review", 1, "boolean"),
    ],
)
def test_a_bad_field_is_named_with_its_limit(
    api: Api, body: dict[str, Any], field: str, value: Any, says: str
) -> None:
    problem = assert_problem(api.post("/api/v1/publish", {**body, field: value}), 422, "request.invalid")

    assert [entry["pointer"].split("/")[1] for entry in problem["errors"]] == [field]
    assert says in problem["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("place", "day", "field", "says"),
    [
        ([], "2026-02-28", "claim_place", "at least 1 item"),
        (["中国大陆", "上海市", "徐汇区", "田林街道"], "2026-02-28", "claim_place", "at most 3"),
        (["中国大陆 / 上海市"], "2026-02-28", "claim_place", "without blanks"),
        (["新加坡"], "28.02.2026", "claim_date", "YYYY-MM-DD"),
        (["新加坡"], "2026-02-30", "claim_date", "YYYY-MM-DD"),
        (["新加坡"], "2019-12-31", "claim_date", "from 2020-01-01 to today"),
        (["新加坡"], "2999-01-01", "claim_date", "from 2020-01-01 to today"),
        (["新加坡"], None, "claim_date", "together with claim_place"),
        (None, "2026-02-28", "claim_date", "together with claim_place"),
    ],
)
def test_a_bad_place_or_date_of_own_footage_is_named(
    api: Api, body: dict[str, Any], place: Any, day: Any, field: str, says: str
) -> None:
    own = {**body, "claim_type": "自行拍摄", "claim_place": place, "claim_date": day}

    problem = assert_problem(api.post("/api/v1/publish", own), 422, "request.invalid")

    assert [entry["pointer"].split("/")[1] for entry in problem["errors"]] == [field]
    assert says in problem["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("daily_cap", 0),
        ("daily_cap", "3"),
        ("min_spacing_minutes", 10081),
        ("visibility", "everyone"),
        ("default_tags", ["a", "b", "c", "d", "e", "f"]),
        ("default_claim_type", "原创"),
        ("allow_save", "yes"),
        ("colour", "red"),
        ("time_zone", "Shanghai"),
        ("time_zone", "UTC+8"),
        ("time_zone", "posix/Asia/Shanghai"),
        ("time_zone", "Asia"),
        ("time_zone", "../../etc/passwd"),
        ("locale", "en-US"),
        ("locale", "zh_CN"),
        ("user_agent", "curl/8.0"),
        ("user_agent", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/140.0"),
        ("proxy", "http://proxy.example.com:8080"),
        ("proxy", {}),
        ("proxy", {"url": "http://secret:secret@proxy.example.com:8080"}),
        ("proxy", {"url": "http://127.0.0.1:8080"}),
        ("proxy", {"url": "http://proxy.example.com:8080", "username": "u"}),
        ("proxy", {"url": "http://proxy.example.com:8080", "password": "secret"}),
        ("proxy", {"url": "http://proxy.example.com:8080", "username": "u", "password": None}),
        ("proxy", {"url": "http://proxy.example.com:8080", "username": "u:v", "password": "secret"}),
        ("proxy", {"url": "http://proxy.example.com:8080", "username": "u", "password": "secret" * 50}),
        ("proxy", {"url": "http://proxy.example.com:8080", "username": "u", "password": "sécret secret"}),
        ("proxy", {"url": "http://proxy.example.com:8080", "has_credentials": True}),
    ],
)
def test_a_bad_preference_is_named(api: Api, account_name: str, name: str, value: Any) -> None:
    answer = api("PATCH", f"/api/v1/accounts/{account_name}", json={"preferences": {name: value}})

    problem = assert_problem(answer, 422, "request.invalid")
    assert problem["errors"][0]["pointer"].startswith(f"/preferences/{name}")
    assert "secret" not in answer.text


@pytest.mark.parametrize("field", ["video_url", "title", "account_name"])
def test_a_required_field_that_is_missing_is_named(api: Api, body: dict[str, Any], field: str) -> None:
    del body[field]

    problem = assert_problem(api.post("/api/v1/publish", body), 422, "request.invalid")

    assert problem["errors"] == [{"pointer": f"/{field}", "detail": "this field is required"}]


def test_the_optional_fields_may_be_left_out(api: Api, account_name: str) -> None:
    body = {"video_url": "https://example.com/v.mp4", "title": "t", "account_name": account_name}

    assert api.post("/api/v1/publish", body).status_code == 200


def test_a_time_that_douyin_can_keep_is_left_to_douyin(api: Api, body: dict[str, Any]) -> None:
    at = (utc_now() + timedelta(days=2)).replace(second=0, microsecond=0)

    answer = api.post(
        "/api/v1/publish", {**body, "schedule_time": at.astimezone(SHANGHAI).strftime("%Y-%m-%d %H:%M")}
    )

    assert answer.json()["state"] == "queued"
    assert answer.json()["publish_at"] == at.strftime("%Y-%m-%dT%H:%M:00.000Z")


@pytest.mark.parametrize("ahead", [timedelta(minutes=30), timedelta(days=30)])
def test_a_time_that_douyin_cannot_keep_is_held_by_us(api: Api, body: dict[str, Any], ahead: timedelta) -> None:
    at = utc_now() + ahead

    answer = api.post("/api/v1/publish", {**body, "schedule_time": at.isoformat()})

    assert answer.json()["state"] == "scheduled"
    assert answer.json()["status"] == "pending"


def test_an_unknown_account_is_not_found(api: Api, body: dict[str, Any]) -> None:
    answer = api.post("/api/v1/publish", {**body, "account_name": "nobody"})

    problem = assert_problem(answer, 404, "account.not_found")
    assert "nobody" in problem["detail"]
    assert "login" in problem["next_step"]


def test_a_logged_out_account_must_log_in_first(
    api: Api, body: dict[str, Any], accounts: AccountStore, account_name: str
) -> None:
    accounts.mark_expired(accounts.get(account_name), "The page asks to log in.")

    problem = assert_problem(api.post("/api/v1/publish", body), 409, "account.login_required")

    assert "POST /api/v1/accounts/login" in problem["next_step"]


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'"text"', b"{} {}", b"\xff\xfe", b'{"title": "\\ud800"}', b"null"]
)
def test_a_body_that_is_not_one_json_object_is_refused(api: Api, raw: bytes) -> None:
    answer = api("POST", "/api/v1/publish", data=raw, headers={"Content-Type": "application/json"})

    assert answer.status_code in (400, 422)
    assert_problem(answer, answer.status_code, answer.json()["code"])


def test_a_body_of_another_media_type_is_refused(api: Api) -> None:
    answer = api("POST", "/api/v1/publish", data="title=x", headers={"Content-Type": "text/plain"})

    assert_problem(answer, 415, "request.unsupported_media_type")


def test_a_body_beyond_the_limit_is_refused(api: Api, body: dict[str, Any]) -> None:
    answer = api.post("/api/v1/publish", {**body, "description": "x" * 70_000})

    assert "65536" in assert_problem(answer, 413, "request.too_large")["detail"]


def test_a_body_beyond_the_gateways_limit_is_refused(api: Api) -> None:
    answer = api("POST", "/api/v1/publish", headers={"Content-Length": str(11 * 1024 * 1024)})

    assert_problem(answer, 413, "request.too_large")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "request.route_not_found"),
        ("GET", '/no"where', 404, "request.route_not_found"),
        ("GET", "/api/v1/publish", 405, "request.method_not_allowed"),
        ("PATCH", "/api/v1/accounts", 405, "request.method_not_allowed"),
        ("GET", "/api/v1/accounts/unknown", 404, "account.not_found"),
        ("GET", "/api/v1/tasks/unknown", 404, "task.not_found"),
        ("POST", "/api/v1/tasks/unknown/approve", 404, "task.not_found"),
        ("GET", "/api/v1/accounts/login/unknown", 404, "login.not_found"),
        ("DELETE", "/api/v1/accounts/unknown", 404, "account.not_found"),
        ("BREW", "/healthz", 501, "request.malformed"),
    ],
)
def test_every_other_refusal_has_the_same_envelope(
    api: Api, method: str, path: str, status: int, code: str
) -> None:
    assert_problem(api(method, path), status, code)


def test_a_connection_that_is_closed_after_a_refusal_says_so(api: Api) -> None:
    assert api("BREW", "/healthz").headers["Connection"] == "close"
    assert api.get("/healthz", headers={"Host": "evil.example"}).headers["Connection"] == "close"
    assert "Connection" not in api.get("/healthz").headers


def test_the_callers_request_id_comes_back(api: Api) -> None:
    assert api.get("/healthz", headers={"X-Request-Id": "abc-1"}).headers["X-Request-Id"] == "abc-1"
    made = api.get("/healthz", headers={"X-Request-Id": "no blanks"}).headers["X-Request-Id"]
    assert made != "no blanks"


def test_a_foreign_host_name_is_refused(api: Api) -> None:
    assert_problem(api.get("/healthz", headers={"Host": "evil.example"}), 403, "auth.forbidden")


@pytest.mark.parametrize(
    "name", ["login%2Fx", "%2E%2E", "a%00b", "a" * 65, "latest%23someone", "work:71", "%F0%9F%98%80"]
)
@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/api/v1/accounts/{}", "account.not_found"),
        ("DELETE", "/api/v1/accounts/{}", "account.not_found"),
        ("POST", "/api/v1/accounts/{}/check", "account.not_found"),
        ("GET", "/api/v1/accounts/login/{}", "login.not_found"),
        ("DELETE", "/api/v1/accounts/login/{}", "login.not_found"),
        ("GET", "/api/v1/tasks/{}", "task.not_found"),
        ("POST", "/api/v1/tasks/{}/cancel", "task.not_found"),
        ("GET", "/api/v1/tasks/{}/evidence", "task.not_found"),
    ],
)
def test_what_can_be_no_name_or_id_reaches_no_key(
    api: Api, method: str, path: str, code: str, name: str
) -> None:
    answer = api(method, path.format(name))

    assert (answer.status_code, answer.json()["code"]) == (404, code), answer.text


def test_a_name_in_the_path_may_be_of_any_script(api: Api, account_name: str, accounts: AccountStore) -> None:
    name = f"小明.{account_name}"
    accounts.log_in(name, Profile("7001", "小明", None), session_version=1)

    assert api.get(f"/api/v1/accounts/{quote(name)}").json()["id"] == name
