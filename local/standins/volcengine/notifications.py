"""Pushes 内容变更通知: tells a customer's callback, signed, that articles have changed.

Headers and signature follow the service's page of that name. What its body holds is decided here.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING

import requests

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_TIMEOUT_SECONDS = 30


class Notifier:
    """`now` dates the notifications."""

    def __init__(self, secret: str, utm_source: str, now: Callable[[], datetime]) -> None:
        self._secret = secret.encode()
        self._utm_source = utm_source
        self._now = now

    def push(self, url: str, group_ids: list[str]) -> tuple[int, str]:
        """POSTs one notification; the status and body of the answer. Status 0 where there was none."""
        timestamp = str(int(self._now().timestamp()))
        event = {
            "EventType": "ArticleChange",
            "EventTime": int(timestamp),
            "UtmSource": self._utm_source,
            "GroupIds": group_ids,
        }
        body = json.dumps(event).encode()
        nonce = secrets.token_hex(8)
        signature = hmac.new(self._secret, timestamp.encode() + nonce.encode() + body, hashlib.sha256)
        headers = {
            "Content-Type": "application/json",
            "X-Content-Timestamp": timestamp,
            "X-Content-Nonce": nonce,
            "X-Content-Signature": signature.hexdigest(),
        }
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.post(url, data=body, headers=headers, timeout=_TIMEOUT_SECONDS)
            except requests.RequestException as error:
                return 0, str(error)
        return answer.status_code, answer.text
