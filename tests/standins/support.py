"""A running stand-in of Douyin's creator site, and what a test's hands do with it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

ROOT = Path(__file__).parents[2]
MEDIA = ROOT / "local/standins/douyin/media"
VIDEO, COVER = MEDIA / "demo.mp4", MEDIA / "demo.png"
XIAOMAN, WALKER = "3820146579012345", "3820146579067890"
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_TIMEOUT = 10


class Standin:
    """The process, and its API for tests."""

    def __init__(self, data: Path) -> None:
        command = [sys.executable, "-m", "local.standins.douyin", "--port", "0", "--data", str(data)]
        self.process = subprocess.Popen(
            [*command, "--exit-on-stdin-eof"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline()
        self.url = self.ready.strip().removeprefix("ready ")

    def end(self) -> int:
        """Close the pipe it lives by, and wait for it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def get(self, path: str) -> Any:
        return requests.get(self.url + path, timeout=_TIMEOUT).json()

    def post(self, path: str, **body: object) -> Any:
        return requests.post(self.url + path, json=body, timeout=_TIMEOUT).json()

    def scenario(self, **switches: object) -> Any:
        return self.post("/admin/scenario", **switches)

    @property
    def works(self) -> list[dict[str, Any]]:
        works: list[dict[str, Any]] = self.get("/admin/works")
        return works

    @property
    def reasons(self) -> list[str]:
        """Why requests were refused."""
        return [refusal["reason"] for refusal in self.get("/admin/state")["refused"]]

    @contextlib.contextmanager
    def login(self, user: str = XIAOMAN) -> Iterator[Creator]:
        """A login without a browser."""
        with requests.Session() as session:
            token = session.get(f"{self.url}/passport/web/get_qrcode/", timeout=_TIMEOUT).json()["data"][
                "token"
            ]
            self.post("/phone/api/scan", token=token)
            self.post("/phone/api/confirm", token=token, user=user)
            session.get(f"{self.url}/passport/web/check_qrconnect/?token={token}", timeout=_TIMEOUT)
            yield Creator(self.url, session)


class Creator:
    """Somebody logged in who talks to the site's own API, as its pages do."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self.url = url
        self.session = session

    def get(self, path: str) -> Any:
        return self.session.get(self.url + path, timeout=_TIMEOUT).json()

    def send(self, path: str, data: bytes, **headers: str) -> Any:
        headers.setdefault("Content-CRC32", f"{zlib.crc32(data):08x}")
        return self.session.post(self.url + path, data=data, headers=headers, timeout=_TIMEOUT).json()

    def open_upload(self, size: int) -> tuple[str, dict[str, str]]:
        """(video_id, the headers its parts need)."""
        headers = {"Authorization": self.get("/web/api/media/upload/auth/v5/")["auth"]}
        path = f"{self.url}/vod/v1/apply?file_name=clip.mp4&file_size={size}"
        answer = self.session.post(path, headers=headers, timeout=_TIMEOUT).json()
        return answer["data"]["video_id"], headers

    def upload(self, data: bytes) -> Any:
        video_id, headers = self.open_upload(len(data))
        size = 5 * 1024 * 1024
        for number, offset in enumerate(range(0, len(data), size), start=1):
            place = f"phase=transfer&part_number={number}&part_offset={offset}"
            part = self.send(f"/upload/v1/{video_id}?{place}", data[offset : offset + size], **headers)
            assert part["code"] == 2000
        return self.send(f"/upload/v1/{video_id}?phase=finish", b"", **headers)

    def cover(self) -> str:
        uri: str = self.send("/imagex/upload", COVER.read_bytes())["data"]["uri"]
        return uri

    def item(self) -> dict[str, Any]:
        """A body create_v2 accepts."""
        return {
            "common": {
                "item_title": "黄昏散步",
                "text": "六秒钟",
                "text_extra": "[]",
                "video_id": self.upload(VIDEO.read_bytes())["data"]["video_id"],
                "visibility_type": 0,
                "download": 1,
                "timing": -1,
            },
            "cover": {"vertical": self.cover(), "horizontal": None},
            "declare": {"user_declare_info": json.dumps({"choose_value": "aigc"})},
        }

    def publish(self, item: dict[str, Any]) -> Any:
        path = f"{self.url}/web/api/media/aweme/create_v2/"
        return self.session.post(path, json={"item": item}, timeout=_TIMEOUT).json()

    def works(self) -> list[dict[str, Any]]:
        works: list[dict[str, Any]] = self.get(
            "/janus/douyin/creator/pc/work_list?status=0&count=12&max_cursor=0"
        )["aweme_list"]
        return works


class PostPage:
    """Steps a person takes on the post page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def choose_video(self, path: Path = VIDEO) -> None:
        self.page.goto(f"{self.url}/creator-micro/content/upload")
        self.page.locator("div[class^='container'] input[type=file]").set_input_files(path)

    def open(self) -> PostPage:
        """The form of a finished upload, with a title."""
        self.choose_video()
        self.title.fill("黄昏散步")
        return self

    def complete(self) -> PostPage:
        """Everything a work must have."""
        self.open()
        self.set_cover()
        self.declare("内容由AI生成")
        return self

    @property
    def title(self) -> Locator:
        return self.page.get_by_placeholder("填写作品标题，为作品获得更多流量")

    @property
    def editor(self) -> Locator:
        return self.page.locator("[data-slate-editor=true]")

    @property
    def chips(self) -> Locator:
        return self.page.locator('[data-mention="#"]')

    @property
    def suggestions(self) -> Locator:
        return self.page.locator(".mention-suggest-mount-dom .tag-hash-view-name")

    @property
    def publish_button(self) -> Locator:
        return self.page.get_by_role("button", name="发布", exact=True)

    @property
    def time(self) -> Locator:
        return self.page.get_by_placeholder("日期和时间")

    @property
    def toast(self) -> Locator:
        return self.page.locator(".semi-toast-content-text")

    def add_topic(self, name: str) -> None:
        self.page.keyboard.press("Control+End")
        self.page.keyboard.type(f" #{name}")
        self.suggestions.get_by_text(name, exact=True).click()

    def cover_dialog(self) -> Locator:
        self.page.get_by_text("选择封面").first.click()
        return self.page.get_by_role("dialog").filter(has_text="设置横封面")

    def set_cover(self) -> None:
        dialog = self.cover_dialog()
        upload = dialog.locator(".semi-upload").filter(
            has=self.page.locator(".semi-upload-drag-area-main-text")
        )
        upload.locator("input.semi-upload-hidden-input").set_input_files(COVER)
        dialog.locator("img").wait_for()
        dialog.get_by_role("button", name="完成", exact=True).click()
        dialog.wait_for(state="detached")

    def declare(self, *labels: str) -> None:
        self.page.get_by_text("请选择自主声明").click()
        for label in labels:
            self.page.locator("label.semi-radio").filter(has_text=label).click()
        self.page.get_by_role("button", name="确定", exact=True).click()
        self.page.locator("[class^=selectText]").get_by_text(labels[0]).wait_for()

    def schedule(self) -> None:
        self.page.locator("label[class^=radio]").filter(has_text="定时发布").click()
        self.time.wait_for()

    def publish(self) -> None:
        self.publish_button.click()
        self.page.wait_for_url("**/creator-micro/content/manage?enter_from=publish")
