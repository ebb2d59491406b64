"""The site's own API, asked without a browser: cheap, and believed only where it says yes.

The site may answer a plain request otherwise than its pages: it expects what their scripts sign. So an answer
that is not a plain yes proves nothing, and the pages are asked.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests

from chalicelib.errors import PageChanged, PlatformBusy, PlatformUnreachable
from container.douyin.ask import read_answer
from container.douyin.login import USER_INFO, Profile, profile_of

if TYPE_CHECKING:
    from collections.abc import Iterator

# Until the connection stands, and between two pieces of the answer.
_TIMEOUTS = (3.05, 8.0)
_ANSWER_SECONDS = 10.0
_ANSWER_BYTES = 256 * 1024


def fetch_profile_plainly(
    origin: str, storage_state: dict[str, Any], *, user_agent: str, locale: str, proxy: str | None = None
) -> Profile:
    """Whose session it is, by the site's own answer to its cookies. `proxy` is the address of an HTTP proxy.

    PlatformUnreachable and PlatformBusy where the site gives no answer of its own; SessionExpired where it
    answers as to a stranger, and PageChanged where the answer is anything else.
    """
    url = f"{origin}{USER_INFO}"
    headers: dict[str, str | bytes | None] = {
        "User-Agent": user_agent,
        "Accept": "application/json, text/plain, */*",
        "Accept-Language": locale,
        "Referer": f"{origin}/creator-micro/home",
        "Cookie": cookie_header(storage_state, url, time.time()).encode(),
    }
    try:
        with requests.Session() as session:
            session.trust_env = False  # No proxy and no password of the environment's.
            session.proxies = {"http": proxy, "https": proxy} if proxy else {}
            with session.get(
                url, headers=headers, timeout=_TIMEOUTS, allow_redirects=False, stream=True
            ) as response:
                body = _read(response)
    except requests.RequestException as error:
        raise PlatformUnreachable(f"{USER_INFO} gave no answer: {type(error).__name__}.") from error
    if response.status_code >= 500 or response.status_code == 429:
        raise PlatformBusy(f"{USER_INFO} answered with HTTP {response.status_code}.")
    if response.status_code != 200:
        raise PageChanged(f"{USER_INFO} answered with HTTP {response.status_code}.")
    return profile_of(read_answer(body.decode("utf-8", "replace"), USER_INFO))


def cookie_header(storage_state: dict[str, Any], url: str, now: float) -> str:
    """The cookies of a stored session that go with a request of `url` at `now` (RFC 6265, section 5.4)."""
    fitting = [cookie for cookie in storage_state["cookies"] if _fits(cookie, url, now)]
    fitting.sort(key=lambda cookie: -len(cookie["path"]))
    return "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in fitting)


def _fits(cookie: dict[str, Any], url: str, now: float) -> bool:
    """Whether a cookie as Playwright stores it belongs to the address. Without a leading dot, `domain` is one
    host; `expires` -1 lasts as long as the browser.
    """
    parts = urlsplit(url)
    host, domain, path = parts.hostname or "", cookie["domain"], cookie["path"]
    same_host = host == domain.removeprefix(".") or (domain.startswith(".") and host.endswith(domain))
    folder = path if path.endswith("/") else f"{path}/"
    same_path = parts.path == path or parts.path.startswith(folder)
    lasts = cookie["expires"] == -1 or cookie["expires"] > now
    return same_host and same_path and lasts and (parts.scheme == "https" or not cookie["secure"])


def _read(response: requests.Response) -> bytes:
    """The answer's body, as much of it as an honest one has, while there is time."""
    end = time.monotonic() + _ANSWER_SECONDS
    body = b""
    pieces: Iterator[bytes] = response.iter_content(16 * 1024)
    for piece in pieces:
        body += piece
        if len(body) > _ANSWER_BYTES or time.monotonic() > end:
            break
    return body
