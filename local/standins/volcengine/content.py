"""Articles as the service would send them: every field of the reference, made from a seed.

The same seed, number and revision give the same content in every process. What the service changes on every
fetch changes here too: counters, signatures and tracking in URLs.
"""

from __future__ import annotations

import base64
import hashlib
import random
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

_WORDS: dict[str, tuple[str, ...]] = {
    "city": ("成都", "西安", "长沙", "苏州", "哈尔滨", "厦门", "重庆", "昆明", "青岛", "洛阳"),
    "food": ("红烧肉", "担担面", "糖醋排骨", "牛肉粉", "桂花糕", "小龙虾", "羊肉泡馍", "清蒸鲈鱼"),
    "team": ("中国女排", "国乒", "上海海港", "广东男篮", "全红婵", "山东泰山"),
    "star": ("《漫长的季节》", "《繁花》", "《狂飙》", "《三体》", "《声生不息》", "《山海情》"),
    "stock": ("半导体", "白酒", "新能源", "券商", "军工", "医药", "人工智能"),
    "car": ("奥迪A6L", "宝马5系", "大众CC", "比亚迪汉", "问界M7", "理想L9"),
    "gadget": ("折叠屏手机", "国产芯片", "扫地机器人", "大模型", "量子计算机", "卫星通话"),
    "month": ("3月", "5月", "7月", "9月", "11月"),
}


@dataclass(frozen=True, slots=True)
class _Theme:
    """`path` runs through Categories, `finance` through FinanceCategories."""

    path: tuple[str, ...]
    authors: tuple[str, ...]
    titles: tuple[str, ...]
    finance: tuple[str, ...] = ()


_THEMES = (
    _Theme(
        ("财经", "股票"),
        ("上海热线财经", "老李看盘"),
        (
            "A股见底了嘛?影响{month}核心因素有哪些?",
            "{stock}板块连涨三天,还能追吗?|一文看懂",
            "“{stock}”的拐点来了?三位基金经理这样说",
        ),
        ("财经", "股票", "板块动态"),
    ),
    _Theme(
        ("财经", "宏观"),
        ("深圳特区报", "宏观周记"),
        ("{month}CPI公布:钱去哪儿了?", "打造共同市场 消除贸易壁垒:{city}的答案"),
        ("财经", "宏观", "国内宏观"),
    ),
    _Theme(
        ("娱乐", "影视"),
        ("追剧研究所", "光影手记"),
        ("{star}收官,为什么我们还舍不得?", "重看{star}:10个你没注意到的细节😮"),
    ),
    _Theme(("娱乐", "综艺"), ("综艺后台",), ("{star}的舞台背后,有多少不为人知的故事",)),
    _Theme(
        ("美食",),
        ("乡村小厨老王", "巷子里的味道"),
        ("{city}人的{food},好吃的窍门就一个字!", "外婆的{food}|小时候的味道❤️", "{food}别再直接下锅了"),
    ),
    _Theme(("体育",), ("体坛前线",), ("{team}逆转!最后两分钟发生了什么", "复盘:{team}这一年")),
    _Theme(
        ("科技", "数码"),
        ("科技每日推送", "拆机老张"),
        ("{gadget}到底值不值得买?用了30天说真话", "“卡脖子”之后,{gadget}走到了哪一步?"),
    ),
    _Theme(("旅游",), ("半夏旅行记",), ("在{city}住了一周,我不想走了", "{city}周末两日游攻略(附地图)")),
    _Theme(
        ("汽车",),
        ("京娱汽车大电影", "老司机说车"),
        ("还记得我教你的弹射起步吗?#{car}", "{car}开了三万公里,优缺点一次说清", "落地30万,{car}怎么选配置?"),
    ),
)
_CARS = {
    "奥迪A6L": ("奥迪", "一汽-大众奥迪"),
    "宝马5系": ("宝马", "华晨宝马"),
    "大众CC": ("大众", "一汽-大众"),
    "比亚迪汉": ("比亚迪", "比亚迪"),
    "问界M7": ("AITO", "赛力斯"),
    "理想L9": ("理想", "理想汽车"),
}
_LANDSCAPE = (("540p", 1024, 576), ("720p", 1280, 720), ("1080p", 1920, 1080))


class Content:
    """Makes articles. `fetch` numbers the answer that an article is made for.

    Media lie at the service's own hosts, or all at `media_origin`, where the stand-in serves them.
    """

    def __init__(self, seed: str, utm_source: str, media_origin: str | None = None) -> None:
        self._seed = seed
        self._utm_source = utm_source
        self._images = f"{media_origin}/media" if media_origin else "https://p3-open-sign.onewsimg.com"
        self._videos = f"{media_origin}/media" if media_origin else "https://open.toutiao.com"

    def group_id(self, number: int) -> str:
        """19 digits, beyond 2^53, and not in the order of numbers."""
        return str(7_250_000_000_000_000_000 + ((number + 1) * 0x9E3779B97F4A7C15) % 999_999_999_999_937)

    def article(
        self, number: int, *, synced_at: int, revision: int, fetch: int, title: str | None = None
    ) -> dict[str, Any]:
        """One object of `Articles`. `synced_at` in seconds since the epoch. A `title` replaces the made one."""
        chance = random.Random(f"{self._seed}/{number}")  # noqa: S311 - meant to be reproducible
        theme = chance.choice(_THEMES)
        words = {name: chance.choice(values) for name, values in _WORDS.items()}
        made_title = chance.choice(theme.titles).format(**words)
        if revision:
            made_title += f"(更新{revision})"
        kind = chance.choice(("article", "article", "feed_video", "short_video"))
        # Publication, creation and sync are days apart, so that neither is in the order of the scan.
        created_at = (synced_at - chance.randrange(600, 260_000)) // 1800 * 1800
        published_at = created_at - chance.randrange(60, 400_000)
        group_id = self.group_id(number)
        fetched = _Fetched(self._seed, group_id, self._utm_source, synced_at, fetch, self._images, self._videos)
        return {
            "GroupId": group_id,
            "Title": title or made_title,
            "ArticleType": kind,
            "PublishTime": published_at,
            "CreateTime": created_at,
            "ArticleUrl": fetched.page_url("", campaign=True),
            "CoverImages": [
                fetched.cover(index, chance.choice(((564, 563), (1280, 720), (3147, 1769))))
                for index in range(chance.randrange(4) if kind == "article" else 1)
            ],
            "Author": {
                "Name": chance.choice(theme.authors),
                "AvatarUrl": fetched.image_url("user-avatar", "avatar", "tplv-obj", scene="core"),
            },
            "Video": None if kind == "article" else fetched.video(chance, portrait=kind == "short_video"),
            "Interactions": fetched.interactions(chance),
            "Tags": {
                "Categories": _nest(theme.path),
                "FinanceCategories": _nest(theme.finance),
                "CarCategories": _nest((*_CARS[words["car"]], words["car"])) if theme.path == ("汽车",) else [],
            },
        }


@dataclass(frozen=True, slots=True)
class _Fetched:
    """The parts that differ between two fetches of one article."""

    seed: str
    group_id: str
    utm_source: str
    synced_at: int
    fetch: int
    images: str
    videos: str

    def page_url(self, suffix: str, *, campaign: bool) -> str:
        medium = "&utm_campaign=open&utm_medium=webview" if campaign else ""
        return (
            f"https://open.toutiao.com/a{self.group_id}/{suffix}?biz_log={self._token('biz', 76)}"
            f"&group_id={self.group_id}&isNews=0&item_id=0&stick_protect=0&sticky=0{medium}"
            f"&utm_source={quote(self.utm_source, safe='')}"
        )

    def image_url(self, folder: str, name: str, template: str, *, scene: str) -> str:
        digest = hashlib.md5(f"{self.seed}/{self.group_id}/{name}".encode(), usedforsecurity=False).hexdigest()
        signature = base64.b64encode(self._bytes(name)[:20]).decode()
        return (
            f"{self.images}/{folder}/{digest}~{template}.jpeg?scene={scene}"
            f"&x-expires={self.synced_at + 63_072_000 + self.fetch}&x-signature={quote(signature, safe='')}"
        )

    def cover(self, index: int, size: tuple[int, int]) -> dict[str, Any]:
        width, height = size
        template = f"tplv-tt-cs0:{width}:{height}"
        url = self.image_url("tos-cn-i-qvj2lq49k0", f"cover{index}", template, scene="torchlight")
        return {"Width": width, "Height": height, "Url": url}

    def video(self, chance: random.Random, *, portrait: bool) -> dict[str, Any]:
        duration = chance.randrange(9, 60) if portrait else chance.randrange(60, 1500)
        infos = []
        for definition, width, height in _LANDSCAPE[: chance.randrange(1, 4)]:
            query = f"param={self._token(definition, 200)}&partner={quote(self.utm_source, safe='')}&version=3"
            infos.append(
                {
                    "VideoUrl": f"{self.videos}/video/url/?{query}",
                    "Definition": definition,
                    "Size": duration * height * chance.randrange(240, 400),
                    "Width": height if portrait else width,
                    "Height": width if portrait else height,
                }
            )
        return {"Duration": duration, "VideoPlayInfos": infos}

    def interactions(self, chance: random.Random) -> dict[str, Any]:
        reads = chance.randrange(20_000) + self.fetch
        return {
            "ReadCount": reads,
            "DiggCount": reads // 90,
            "ShareCount": reads // 400,
            "CommentCount": reads // 700,
            "CommentUrl": self.page_url("comment/", campaign=False),
        }

    def _bytes(self, purpose: str) -> bytes:
        return hashlib.sha256(f"{self.seed}/{self.group_id}/{self.fetch}/{purpose}".encode()).digest()

    def _token(self, purpose: str, length: int) -> str:
        stream = hashlib.shake_256(self._bytes(purpose)).digest(length)
        return base64.b64encode(stream, altchars=b"xy").decode().rstrip("=")[:length]


def _nest(path: tuple[str, ...]) -> list[dict[str, Any]]:
    if not path:
        return []
    return [{"Name": path[0], "SubCategories": _nest(path[1:])}]
