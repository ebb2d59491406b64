"""What `python -m local` can be told, and what it says where it is told too little."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.options import DEFAULT_PORT, ROOT, Options, Volcengine, parse

if TYPE_CHECKING:
    from pathlib import Path

REAL_DOUYIN = "https://creator.douyin.com"
REAL_VOLCENGINE = "https://mercury.volcengineapi.com"


def test_without_options_everything_is_embedded() -> None:
    options = parse([])

    assert options == Options(port=DEFAULT_PORT, data=ROOT / ".local")
    assert (options.douyin_origin, options.volcengine) == (None, None)


def test_every_option_is_taken(tmp_path: Path) -> None:
    options = parse(
        [
            *("--port", "9000", "--data", str(tmp_path), "--no-demo", "--headed"),
            *("--douyin-origin", REAL_DOUYIN),
            *("--volc-endpoint", REAL_VOLCENGINE, "--volc-access-key", "AK", "--volc-secret-key", "SK"),
            *("--utm-source", "one,two", "--allow-media-from", "127.0.0.1:1", "--allow-media-from", "[::1]:2"),
            *("--allow-proxy", "127.0.0.1:3"),
        ]
    )

    assert options == Options(
        port=9000,
        data=tmp_path,
        demo=False,
        douyin_origin=REAL_DOUYIN,
        volcengine=Volcengine(REAL_VOLCENGINE, "AK", "SK", "one,two"),
        allow_media_from=("127.0.0.1:1", "[::1]:2"),
        allow_proxies=("127.0.0.1:3",),
        headed=True,
    )


def test_the_environment_may_name_the_real_sites(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DOUYIN_ORIGIN": REAL_DOUYIN,
        "VOLC_ENDPOINT": REAL_VOLCENGINE,
        "VOLC_ACCESS_KEY": "AK",
        "VOLC_SECRET_KEY": "SK",
        "VOLC_UTM_SOURCES": "one",
        "VOLC_SESSION_TOKEN": "ST",
        "VOLC_CALLBACK_SECRET": "CS",
    }.items():
        monkeypatch.setenv(name, value)

    options = parse([])

    assert options.douyin_origin == REAL_DOUYIN
    assert options.volcengine == Volcengine(REAL_VOLCENGINE, "AK", "SK", "one", "ST", "CS")


def test_the_real_content_service_needs_keys_and_a_channel(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--volc-endpoint", REAL_VOLCENGINE, "--volc-access-key", "AK"])

    assert "--volc-secret-key and --utm-source" in " ".join(capsys.readouterr().err.split())


def test_a_demo_cannot_be_left_out_and_be_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--no-demo", "--demo-only"])

    assert "exclude each other" in capsys.readouterr().err


def test_a_secret_key_is_not_shown() -> None:
    assert "SK" not in repr(Volcengine(REAL_VOLCENGINE, "AK", "SK", "one"))
