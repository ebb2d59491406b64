"""The people who own a phone here: seeded, because accounts are not what this stand-in is about."""

import hashlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class User:
    """One Douyin account."""

    uid: str
    nickname: str
    unique_id: str
    phone: str
    followers: int
    colours: tuple[str, str]

    @property
    def masked_phone(self) -> str:
        """``183******91``, as the SMS screen shows it (captured 2026-05)."""
        return f"{self.phone[:3]}******{self.phone[-2:]}"

    @property
    def sec_uid(self) -> str:
        return "MS4wLjABAAAA" + hashlib.sha256(self.uid.encode()).hexdigest()[:43]

    @property
    def identity(self) -> str:
        """The value of the ``uid_tt`` cookie: stable for one account over all its logins."""
        return hashlib.md5(self.uid.encode(), usedforsecurity=False).hexdigest()

    def profile(self, origin: str) -> dict[str, Any]:
        """The ``user`` object of ``/web/api/media/user/info/``."""
        return {
            "uid": self.uid,
            "nickname": self.nickname,
            "unique_id": self.unique_id,
            "sec_uid": self.sec_uid,
            "avatar_thumb": {"url_list": [f"{origin}/media/avatar/{self.uid}.svg"]},
            "follower_count": self.followers,
            "following_count": 36,
            "total_favorited": self.followers * 7,
            "signature": "记录生活里的小事",
        }

    def avatar(self) -> str:
        """A round SVG with the first character of the nickname."""
        first, second = self.colours
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 96">'
            f'<linearGradient id="g" x2="1" y2="1"><stop stop-color="{first}"/>'
            f'<stop offset="1" stop-color="{second}"/></linearGradient>'
            '<circle cx="48" cy="48" r="48" fill="url(#g)"/><text x="48" y="64" font-size="44" fill="#fff" '
            f'text-anchor="middle" font-family="sans-serif">{self.nickname[0]}</text></svg>'
        )


USERS = {
    user.uid: user
    for user in (
        User("3820146579012345", "小满同学", "xiaoman2026", "18312340091", 12840, ("#fe2c55", "#ff8f6b")),
        User("3820146579067890", "城市漫步者", "citywalk_sh", "13955667712", 5321, ("#2a7fff", "#28c9d6")),
        User("3820146579054321", "阿木做饭", "amu_kitchen", "15088994435", 98012, ("#ff9a1f", "#ffce3d")),
    )
}
