"""Where the key comes from, where it is kept, and where it goes."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from publisher.errors import Misconfigured
from publisher.settings import DEFAULT_URL, Settings, checked_url, load, save

if TYPE_CHECKING:
    from pathlib import Path

_KEPT = Settings(url="https://api.example.com", api_key="sp_live_id_secret")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "new" / "config.json"
    save(_KEPT, path)
    return path


def test_without_anything_it_is_this_machine_without_a_key(tmp_path: Path) -> None:
    assert load({}, tmp_path / "none.json") == Settings(url=DEFAULT_URL, api_key=None)


def test_what_was_kept_is_found_and_for_its_owner_alone(kept: Path) -> None:
    assert load({}, kept) == _KEPT
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    assert list(kept.parent.iterdir()) == [kept]


def test_keeping_anew_narrows_a_file_that_others_could_read(kept: Path) -> None:
    kept.chmod(0o644)
    save(_KEPT, kept)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_the_environment_goes_before_the_file(kept: Path) -> None:
    given = {"PUBLISHER_URL": "https://other.example.com/", "PUBLISHER_API_KEY": "sp_live_other_key"}
    assert load(given, kept) == Settings(url="https://other.example.com", api_key="sp_live_other_key")


def test_the_files_key_goes_to_the_files_url_alone(kept: Path) -> None:
    assert load({"PUBLISHER_URL": "https://other.example.com"}, kept).api_key is None
    assert load({"PUBLISHER_URL": "https://api.example.com/"}, kept).api_key == _KEPT.api_key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_that_others_can_read_is_refused_with_the_fix(kept: Path, mode: int) -> None:
    kept.chmod(mode)
    with pytest.raises(Misconfigured) as refused:
        load({}, kept)
    assert f"chmod 600 '{kept}'" in refused.value.next_step


@pytest.mark.parametrize("content", ["", "[]", "no json", '{"url": 1}', "\udcff"])
def test_a_file_that_is_something_else_is_refused(kept: Path, content: str) -> None:
    kept.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(Misconfigured, match=r"config\.json"):
        load({}, kept)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "http://192.168.1.1:8989",
        "ftp://localhost",
        "api.example.com",
        "https://",
        "https://name:password@api.example.com",
        "https://api.example.com?x=1",
        "https://api.example.com#x",
        "https://api.example.com:port",
        "http://[::1",
        "http://localhost.example.com",
    ],
)
def test_a_url_that_would_send_the_key_in_clear_or_nowhere_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="cannot be the URL"):
        load({"PUBLISHER_URL": url}, tmp_path / "none.json")


@given(st.text(max_size=40))
def test_any_text_is_a_url_or_is_refused(text: str) -> None:
    try:
        url = checked_url(text)
    except Misconfigured:
        return
    assert url.startswith(("https://", "http://localhost", "http://127.0.0.1", "http://[::1]", "HTTP", "Http"))


@pytest.mark.parametrize("key", ["with space", "line\nbreak", "schlüssel", "   "])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(key: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as refused:
        load({"PUBLISHER_API_KEY": key}, tmp_path / "none.json")
    assert key.strip() not in refused.value.cause or not key.strip()


def test_a_key_stands_in_no_repr() -> None:
    assert "secret" not in repr(_KEPT)


def test_the_file_is_plain_json(kept: Path) -> None:
    assert json.loads(kept.read_text()) == {"url": _KEPT.url, "api_key": _KEPT.api_key}
