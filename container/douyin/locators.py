"""The one table of all that the driver looks for in Douyin's pages.

The site changes every four to eight weeks. So each target is anchored on a role, a text or a placeholder, has
fallbacks, and names where it was seen: "F" in a captured page, "P" in the code of a project that claims live
runs, "?" unverified. Class names stand here only by the part that is written by hand (`semi-*`, `long-card-`),
never with the hash that the site's build appends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal

from playwright.async_api import Locator, Page

Scope = Page | Locator

# What the creator writes stands in an editor; beside the form stand their name and a preview of the work.
_NOT_WRITTEN = "[not(ancestor-or-self::*[@contenteditable='true'])]"
_FORM = '[class*="form-container-"]'
_IN_FORM = "//*[contains(@class, 'form-container-')]//*"
_COVERS = '[class*="coverControl-"]'


def spaced(text: str, *, whole: bool = True) -> re.Pattern[str]:
    """The text with blanks anywhere in it: component libraries put one between the two characters of 确定, and
    take it out again. `whole`: nothing stands beside it; else something may follow.
    """
    letters = r"\s*".join(re.escape(letter) for letter in text if not letter.isspace())
    return re.compile(rf"^\s*{letters}\s*$" if whole else rf"^\s*{letters}")


Room = Literal["login", "shell", "upload", "form", "cover", "declaration", "schedule", "manage", "challenge"]


@dataclass(frozen=True, slots=True)
class Role:
    """By ARIA role and accessible name; the name matches whole, or as a pattern."""

    role: Any
    name: str | re.Pattern[str]

    def on(self, scope: Scope) -> Locator:
        return scope.get_by_role(self.role, name=self.name, exact=True)


@dataclass(frozen=True, slots=True)
class Text:
    """By text: the smallest element whose whole text this is, or, not `exact`, that contains it. Never what the
    creator wrote into an editor; where other texts of theirs may stand (a name, a preview), `within` says where
    alone the site's own word is.
    """

    text: str | re.Pattern[str]
    exact: bool = True
    within: str = ""

    def on(self, scope: Scope) -> Locator:
        place = scope.locator(self.within) if self.within else scope
        found = place.get_by_text(self.text, exact=self.exact)
        return found.locator(f"xpath=self::*{_NOT_WRITTEN}")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """By a part of the placeholder."""

    text: str

    def on(self, scope: Scope) -> Locator:
        return scope.get_by_placeholder(self.text)


@dataclass(frozen=True, slots=True)
class Css:
    selector: str

    def on(self, scope: Scope) -> Locator:
        return scope.locator(self.selector)


How = Role | Text | Placeholder | Css


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to find: what for, how at best, how else, and where that was seen."""

    purpose: str
    room: Room
    source: str
    primary: How
    fallbacks: tuple[How, ...] = field(default=())

    @property
    def ways(self) -> tuple[How, ...]:
        return (self.primary, *self.fallbacks)

    def on(self, scope: Scope, *, visible: bool = True) -> Locator:
        """All elements that any way leads to, in the order of the document."""
        found = [way.on(scope).filter(visible=True) if visible else way.on(scope) for way in self.ways]
        union = found[0]
        for other in found[1:]:
            union = union.or_(other)
        return union


# Login

QR_IMAGE = Target(
    purpose="QR code of the login, as an image",
    room="login",
    source="F: measured 2026-08, base64 PNG in a data URL",
    primary=Css('img[aria-label="二维码"]'),
    fallbacks=(
        Css('#animate_qrcode_container img[src^="data:image"]'),
        Css('[class*="scan_qrcode_login_content"] img[src^="data:image"]'),
    ),
)
QR_DRAWING = Target(
    purpose="QR code of the login, drawn as SVG or on a canvas",
    room="login",
    source="F: SVG since 2026-09-29 on douyin.com's own panel",
    primary=Css("#animate_qrcode_container:has(svg, canvas)"),
    fallbacks=(Css('[class*="qrcode"]:has(> svg, > canvas)'),),
)
QR_EXPIRED = Target(
    purpose="notice that the QR code has expired; a click fetches a new one",
    room="login",
    source="P: social-auto-upload, 2026-08",
    primary=Text(re.compile("二维码(已)?失效")),
    fallbacks=(Text("点击刷新"),),
)

# Identity challenge

CHALLENGE = Target(
    purpose="panel of the identity challenge",
    room="challenge",
    source="F: 2026-05",
    primary=Css("#uc-second-verify"),
    fallbacks=(Css(".second-verify-panel"),),
)
CHALLENGE_SMS = Target(
    purpose="way to verify by a code that comes by SMS",
    room="challenge",
    source="F: 2026-05; nothing is sent before it is taken",
    primary=Text("接收短信验证码"),
    fallbacks=(
        Text(spaced("接收短信验证码")),
        Css('[class*="verification_component_list_item"]:has-text("接收")'),
    ),
)
CHALLENGE_CODE = Target(
    purpose="input of the SMS code; the login page has another one with the same placeholder",
    room="challenge",
    source="F: 2026-05",
    primary=Placeholder("请输入验证码"),
    fallbacks=(Css("input#button-input"), Css('[class*="verify_input"] input')),
)
CHALLENGE_SEND = Target(
    purpose="what sends the SMS, and counts down until it may be sent again",
    room="challenge",
    source="F: 2026-05",
    primary=Css('[class*="verify_input"] [class$="input_right"]'),
    fallbacks=(Text(re.compile(r"获\s*取\s*验\s*证\s*码|重\s*新\s*发\s*送")),),
)
CHALLENGE_CONFIRM = Target(
    purpose="what gives the code to the platform: a div; 验证 is a part of 获取验证码, too",
    room="challenge",
    source="F: 2026-05",
    primary=Text("验证"),
    fallbacks=(Text(spaced("验证")), Css('[class*="verify_button"][class*="primary"]')),
)
CHALLENGE_ERROR = Target(
    purpose="what the platform says of a wrong code",
    room="challenge",
    source="F: 2026-05",
    primary=Css('[class*="verify_error"]'),
)

# The shell around every page of a logged-in creator

POPOVER_OK = Target(
    purpose="button that closes a popover about something new",
    room="shell",
    source="F: 2026-09, shepherd overlay",
    primary=Role("button", "我知道了"),
    fallbacks=(
        Role("button", spaced("我知道了")),
        Text(spaced("我知道了"), within='.shepherd-element, [class*="popover"], [role="tooltip"]'),
    ),
)
TOAST = Target(
    purpose="short message of the site",
    room="shell",
    source="F: Semi's toast, 2026-09",
    primary=Css(".semi-toast-content-text"),
    fallbacks=(Css(".semi-toast-content"), Css('[role="alert"]')),
)

# Upload page

VIDEO_INPUT = Target(
    purpose="hidden input that takes the video",
    room="upload",
    source="F: 2026-09; hidden, so that it is attached and never visible",
    primary=Css('input[type="file"][accept*="video"]'),
    fallbacks=(Css('[class^="container"] input[type="file"]'), Css('input[type="file"]')),
)
UPLOAD_INVITATION = Target(
    purpose="the upload page's invitation",
    room="upload",
    source="F: 2026-09",
    primary=Role("button", "上传视频"),
    fallbacks=(
        Role("button", spaced("上传视频")),
        Text("点击上传", exact=False, within='[class*="container-drag-"]'),
    ),
)
DRAFT_GIVE_UP = Target(
    purpose="button that drops an unfinished video of an earlier visit",
    room="upload",
    source="F: seen 2026-07 to 2026-09",
    primary=Text("放弃", within='[class*="form-hint-"]'),
    fallbacks=(Text(spaced("放弃"), within='[class*="form-hint-"]'), Css('[class^="give-up"]')),
)
UPLOAD_CANCEL = Target(
    purpose="what ends a running upload",
    room="upload",
    source="F: 2026-09",
    primary=Text("取消上传", within='[class*="progress-"]'),
    fallbacks=(Text(spaced("取消上传"), within='[class*="progress-"]'), Css('[class*="cancel-"]')),
)
LEAVE = Target(
    purpose="button that leaves the form and publishes nothing",
    room="form",
    source="F: 2026-09",
    primary=Role("button", "暂存离开"),
    fallbacks=(Role("button", spaced("暂存离开")), Css('[class^="button-"]:has-text("暂存")')),
)
RETRY_INPUT = Target(
    purpose="input that takes the video again after a failed upload",
    room="upload",
    source="P: social-auto-upload, 2026-08",
    primary=Css('div.progress-div [class^="upload-btn-input"]'),
    fallbacks=(Css('input[name="upload-btn"]'), Css('input[type="file"][accept*="video"]')),
)

# Post page

TITLE = Target(
    purpose="title",
    room="form",
    source="F: 2026-09; the most stable anchor of the page",
    primary=Placeholder("作品标题"),
    fallbacks=(Css('input.semi-input[type="text"]'),),
)
DESCRIPTION = Target(
    purpose="description editor",
    room="form",
    source="F: 2026-09, Slate",
    primary=Css('[contenteditable="true"][data-placeholder*="作品简介"]'),
    fallbacks=(Css('.zone-container[contenteditable="true"]'), Css('[data-slate-editor="true"]')),
)
SUGGESTION = Target(
    purpose="suggested topic",
    room="form",
    source="F: 2026-09",
    primary=Css('[class*="mention-suggest-item-container"]'),
    fallbacks=(
        Css('.mention-suggest-mount-dom [class*="mention-suggest-item"]'),
        Css(':has(> [class*="tag-hash-view-name"])'),
    ),
)
SUGGESTION_NAME = Target(
    purpose="name of a suggested topic",
    room="form",
    source="F: 2026-09",
    primary=Css('[class*="tag-hash-view-name"]'),
    fallbacks=(Css('[class*="mention-suggest-item"] [class*="name"]'),),
)
TOPIC_CHIP = Target(
    purpose="topic in the description that the site took as one",
    room="form",
    source="F: 2026-09",
    primary=Css('[data-mention="#"]'),
    fallbacks=(Css('[data-mention]:has-text("#")'),),
)
DESCRIPTION_COUNT = Target(
    purpose="how many characters the description has, as the site counts them, of how many: 0 / 1000",
    room="form",
    source="F: 2026-09",
    primary=Text(re.compile(r"^\s*\d+\s*/\s*1000\s*$"), within=_FORM),
    fallbacks=(Text(re.compile(r"^\s*\d+\s*/\s*\d{4}\s*$")),),
)
PUBLISH = Target(
    purpose="button that publishes",
    room="form",
    source="F: 2026-09; exact, for 高清发布 stands beside it",
    primary=Role("button", "发布"),
    fallbacks=(Role("button", spaced("发布")), Css(r'[class^="button-"]:text-matches("^\\s*发\\s*布\\s*$")')),
)
SETTING = Target(
    purpose="a setting's choices",
    room="form",
    source="F: 2026-09, labels over hidden check boxes",
    primary=Css("label[data-checked]"),
    fallbacks=(Css("label:has(input)"), Css("[data-checked]:has(input)")),
)
SETTING_CHOSEN = Target(
    purpose="the one of a setting's choices that is taken",
    room="form",
    source="F: 2026-09",
    primary=Css('[data-checked="true"]'),
    fallbacks=(Css(":not([data-checked]):has(input:checked)"),),
)
SUGGESTION_LAYER = Target(
    purpose="layer of the suggestions, which may stay behind and take every click; Escape closes it",
    room="form",
    source="P: 2026-09",
    primary=Css('[class*="mention-wrapper"]'),
    fallbacks=(Css(".mention-suggest-mount-dom > *"),),
)

# Cover

COVER_CHOOSE = Target(
    purpose="empty slot of a cover",
    room="cover",
    source="F: 2026-09",
    primary=Text("选择封面", within=_COVERS),
    fallbacks=(Text(spaced("选择封面"), within=_COVERS), Text(spaced("选择封面"), within=_FORM)),
)
COVER_SLOT = Target(
    purpose="slots of the two covers, each with its shape as a tip",
    room="cover",
    source="F: 2026-09",
    primary=Css('[class*="coverControl-"] > [class^="cover-"]'),
    fallbacks=(
        Css('[class*="coverControl-"] > * > [class^="cover-"]'),
        Css(f"xpath={_IN_FORM}[*[contains(text(), '封面3:4') or contains(text(), '封面4:3')]]{_NOT_WRITTEN}"),
    ),
)
COVER_NAG = Target(
    purpose="reminder that the landscape cover is missing; Escape closes it",
    room="cover",
    source="F: 2026-09",
    primary=Css('.dy-creator-content-portal:has-text("立即设置")'),
    fallbacks=(
        Css('.dy-creator-content-portal:has-text("精选频道")'),
        Text("立即设置", exact=False, within='[class*="-portal"]'),
    ),
)
COVER_DIALOG = Target(
    purpose="dialog that sets the covers",
    room="cover",
    source="F: 2026-09",
    primary=Css('[role="dialog"]:has-text("设置竖封面"), [role="dialog"]:has-text("设置横封面")'),
    fallbacks=(Css(".dy-creator-content-modal"),),
)
COVER_INPUT = Target(
    purpose="input that takes the cover, not the one of the AI panel beside it",
    room="cover",
    source="F: 2026-09, four inputs; P: the first one is the wrong one",
    primary=Css(".semi-upload:has(.semi-upload-drag-area-main-text) input.semi-upload-hidden-input"),
    fallbacks=(Css('.semi-upload:has-text("点击上传文件或拖拽文件到这里") input[type="file"]'),),
)
COVER_DONE = Target(
    purpose="button that ends the cover dialog",
    room="cover",
    source="F: 2026-09",
    primary=Role("button", "完成"),
    fallbacks=(Role("button", spaced("完成")), Text(spaced("完成"))),
)
COVER_STEP = Target(
    purpose="button of the cover dialog that leads to the other shape, and bears that step's name",
    room="cover",
    source="F: 2026-09",
    primary=Role("button", re.compile("^设置[竖横]封面$")),
    fallbacks=(Role("button", re.compile(r"设\s*置\s*[竖横]\s*封\s*面")),),
)
COVER_CLOSE = Target(
    purpose="what closes the cover dialog",
    room="cover",
    source="?: Semi's documentation",
    primary=Css('[aria-label="close"]'),
    fallbacks=(Css('[class*="modal-close"]'),),
)
CONFIRMATION = Target(
    purpose="button that says yes to a question of the site",
    room="cover",
    source="P: several words for it, 2025-2026",
    primary=Role("button", re.compile("^(仍然完成|仍要完成|确定|确认|继续)$")),
    fallbacks=(Role("button", re.compile(r"^\s*(仍\s*[然要]\s*完\s*成|确\s*[定认]|继\s*续)\s*$")),),
)
COVER_RECOMMENDED = Target(
    purpose="cover that the site recommends",
    room="cover",
    source="F: the heading and the class's stem 2026-09; ?: the tag of the pictures beneath",
    primary=Css('img[class*="recommendCover-"], canvas[class*="recommendCover-"]'),
    fallbacks=(
        Css(
            f"xpath={_IN_FORM}[contains(text(), '智能推荐封面')]{_NOT_WRITTEN}"
            "/following::*[self::img or self::canvas][ancestor::*[contains(@class, 'form-container-')]]"
        ),
    ),
)

# Declaration


def _text(node: str) -> str:
    """XPath: the text of a node, without blanks."""
    return f"translate(normalize-space({node}), ' ', '')"


def _own_text(text: str) -> str:
    """XPath: this alone is the text of the element itself."""
    return f"{_text('text()')} = '{text}'"


# Beside the older form's link; the work's preview stands in the same panel.
_HINT = f"//*[contains({_text('text()')}, '为你的作品添加提示')]{_NOT_WRITTEN}"

DECLARATION_ROW = Target(
    purpose="row of the form that opens the declarations",
    room="declaration",
    source="F: 2026-07 and 2026-09",
    primary=Text("请选择自主声明", within=_FORM),
    fallbacks=(
        Text(spaced("请选择自主声明"), within=_FORM),
        Text(spaced("请选择自主声明"), within='[class*="selectBox-"]'),
    ),
)
DECLARATION_FIELD = Target(
    purpose="field of the form that shows the declaration once it was made",
    room="declaration",
    source="F: 2026-07 and 2026-09",
    primary=Css(
        f"xpath={_IN_FORM}[{_own_text('自主声明')}]{_NOT_WRITTEN}/ancestor::*[{_text('.')} != '自主声明'][1]"
    ),
    fallbacks=(Css('[class*="selectBox-"]:has([class*="selectText-"])'),),
)
DECLARATION_LINK = Target(
    purpose="link of the older form that opens the declarations",
    room="declaration",
    source="F: 2026-03",
    primary=Css(f"xpath={_HINT}/ancestor::*[.//*[{_own_text('添加声明')}]][1]//*[{_own_text('添加声明')}]"),
    fallbacks=(Text(spaced("添加声明"), within='[class*="ssistant"]'),),
)
DECLARATION_PANEL = Target(
    purpose="panel of the older form that shows the declaration once it was made",
    room="declaration",
    source="F: 2026-03, the texts; ?: that they stand in one element",
    primary=Css(f"xpath={_HINT}/ancestor::*[.//*[{_own_text('自主声明')}]][1]"),
)
DECLARATION_DIALOG = Target(
    purpose="dialog of the declarations",
    room="declaration",
    source="F: 2026-07 and 2026-09 (new six), 2026-03 (old six)",
    primary=Css('[role="dialog"]:has([type="radio"]):has-text("声明")'),
    fallbacks=(Css('[role="modal"]:has([type="radio"])'), Css('.semi-modal:has([type="radio"])')),
)
DECLARATION_CHOICE = Target(
    purpose="a choice of the declarations; its text takes no clicks, its label does",
    room="declaration",
    source="F: 2026-07 and 2026-09",
    primary=Css('label:has(input[type="radio"])'),
    fallbacks=(Css('.semi-radio:has(input[type="radio"])'),),
)
DECLARATION_CHOSEN = Target(
    purpose="the one of the declarations that is taken",
    room="declaration",
    source="F: 2026-07 and 2026-09",
    primary=Css('label:has(input[type="radio"]:checked)'),
    fallbacks=(Css(".semi-radio:has(input:checked)"),),
)
PLACE_FIELD = Target(
    purpose="place of the shooting, in the older declarations",
    room="declaration",
    source="P: two projects, before 2026-05",
    primary=Css(".semi-cascader-selection"),
    fallbacks=(Css('[role="combobox"]'), Text(spaced("设置拍摄地点"))),
)
PLACE_LIST = Target(
    purpose="places of one level: countries, provinces, cities",
    room="declaration",
    source="P: two projects, before 2026-05",
    primary=Css('[class*="cascader"] [role="listbox"]'),
    fallbacks=(Css(".semi-cascader-option-list"),),
)
PLACE_OPTION = Target(
    purpose="a place of a level",
    room="declaration",
    source="P: two projects, before 2026-05",
    primary=Css(".semi-cascader-option"),
    fallbacks=(Css('[role="menuitem"]'),),
)
SHOT_ON = Target(
    purpose="date of the shooting, YYYY-MM-DD, in the older declarations",
    room="declaration",
    source="P: two projects, before 2026-05",
    primary=Placeholder("设置拍摄日期"),
    fallbacks=(Css('input.semi-input[type="text"]'),),
)
DECLARATION_OK = Target(
    purpose="button that takes the declaration over",
    room="declaration",
    source="F: 2026-07 and 2026-09",
    primary=Role("button", "确定"),
    fallbacks=(Role("button", spaced("确定")), Text(spaced("确定"))),
)
DECLARATION_CANCEL = Target(
    purpose="button that leaves the declarations",
    room="declaration",
    source="F: 2026-07 and 2026-09",
    primary=Role("button", "取消"),
    fallbacks=(Role("button", spaced("取消")), Text(spaced("取消"))),
)

# Schedule

SCHEDULE_INPUT = Target(
    purpose="date and time of publishing",
    room="schedule",
    source="F: 2026-09",
    primary=Placeholder("日期和时间"),
    fallbacks=(Css('input[format="yyyy-MM-dd HH:mm"]'),),
)
SCHEDULE_PANEL = Target(
    purpose="panel of the date and time",
    room="schedule",
    source="P: 2026-08, Semi's date picker",
    primary=Css(".semi-popover .semi-datepicker"),
    fallbacks=(Css('[class*="datepicker-panel"]'),),
)
DATE_CELL = Target(
    purpose="a day of the panel, by its title YYYY-MM-DD",
    room="schedule",
    source="P: 2026-08",
    primary=Css(".semi-datepicker-day"),
    fallbacks=(Css('[role="gridcell"]'),),
)
DATE_DEAD = Target(
    purpose="a day of the panel that cannot be chosen",
    room="schedule",
    source="?: Semi's documentation",
    primary=Css(".semi-datepicker-day-disabled"),
    fallbacks=(Css('[role="gridcell"][aria-disabled="true"]'),),
)
DATE_NEXT_MONTH = Target(
    purpose="button to the next month",
    room="schedule",
    source="?: Semi's documentation",
    primary=Role("button", "Next month"),
    fallbacks=(Css('.semi-datepicker-navigation button:has-text("›")'),),
)
TIME_SWITCH = Target(
    purpose="switch from the days to the time of day",
    room="schedule",
    source="P: 2026-08",
    primary=Css(".semi-datepicker-switch-time"),
    fallbacks=(Text(re.compile(r"^\s*\d{2}:\d{2}\s*$")),),
)
TIME_HOUR = Target(
    purpose="wheel of the hours",
    room="schedule",
    source="P: 2026-08",
    primary=Css('[class*="list-hour"]'),
    fallbacks=(Css(".semi-scrolllist-item-wheel >> nth=0"),),
)
TIME_MINUTE = Target(
    purpose="wheel of the minutes",
    room="schedule",
    source="P: 2026-08",
    primary=Css('[class*="list-minute"]'),
    fallbacks=(Css(".semi-scrolllist-item-wheel >> nth=1"),),
)
PANEL_CONFIRM = Target(
    purpose="button that takes the date and time over",
    room="schedule",
    source="P: 2026-08",
    primary=Role("button", "确定"),
    fallbacks=(Role("button", spaced("确定")), Text(spaced("确定"))),
)

TABLE: tuple[Target, ...] = tuple(value for value in tuple(vars().values()) if isinstance(value, Target))


# Where a creator's own words stand: names, titles and descriptions may read like anything. A region that holds
# a panel, or more text than a name and a title have, is the site's own; so is the header of a dialog.
OWN_WORDS = (
    *('[contenteditable="true"]', "header", '[role="banner"]'),
    '[class*="header" i]:not([role="dialog"] *, [role="modal"] *, .semi-modal *)',
    *('[class*="preview" i]', '[class*="nickname" i]', '[class*="avatar" i]'),
)
# What stands before the page rather than in it. What hangs on the body beside the page is a panel, too.
PANELS = (
    *('[role="dialog"]', '[role="alertdialog"]', '[role="modal"]', '[aria-modal="true"]', ".semi-modal"),
    *('[id*="verify" i]', '[class*="verify" i]', '[id*="captcha" i]', '[class*="captcha" i]'),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A state of the page, told by texts (within a line that is at most `slack` characters longer, blanks
    aside), by selectors of what is visible, or by selectors of what is there though it is `hidden`.

    A text counts where it is not in OWN_WORDS; `within` panels, on a creator's page, it counts in PANELS only.
    """

    name: str
    source: str
    texts: tuple[str, ...] = ()
    selectors: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    slack: int = 12
    within: Literal["anything", "page", "panels"] = "page"


MARKS = (
    Mark(
        name="login",
        source="F: 2026-09; the phone form stands beside the QR code all the time",
        texts=("扫码登录", "手机号登录", "验证码登录", "密码登录", "登录/注册"),
        within="anything",  # The site is asked before it is believed.
    ),
    Mark(
        name="creator",
        source="P: stable ids, 2026; the texts as a fallback",
        texts=("内容管理", "作品管理", "点击上传或直接将视频文件拖入此区域"),
        slack=2,
        selectors=(
            "#douyin-creator-master-side-upload",
            "#douyin-creator-master-side-upload-wrap",
            '[id^="douyin-creator-master-menu-nav-"]',
        ),
    ),
    Mark(name="qr_expired", source="P: 2026-08", texts=("二维码失效", "二维码已失效", "点击刷新")),
    Mark(name="qr_refused", source="P: social-auto-upload #224", texts=("该二维码异常",)),
    Mark(
        name="qr_scanned",
        source="?: 2026-08",
        texts=("扫码成功", "扫描成功", "请在手机上确认", "手机端确认", "在手机上确认登录"),
    ),
    Mark(
        name="identity",
        source="F: 2026-05",
        texts=("请先完成身份验证，以确保为本人操作", "收到的短信验证码"),
        selectors=("#uc-second-verify", ".second-verify-panel"),
        slack=40,
        within="panels",
    ),
    Mark(
        name="face",
        source="?: that there is such a check is reported, not its texts",
        texts=("人脸验证", "人脸识别", "刷脸", "扫脸"),
        slack=24,
        within="panels",
    ),
    Mark(
        name="captcha",
        source="P: several, 2026",
        texts=("拖动滑块", "完成拼图"),
        selectors=("#captcha_container", "[class*='captcha_verify_container']", ".secsdk-captcha-drag-icon"),
        within="panels",
    ),
    Mark(
        name="upload_input",
        source="F: 2026-09",
        hidden=tuple(way.selector for way in VIDEO_INPUT.ways if isinstance(way, Css)),
    ),
    Mark(
        name="form",
        source="F: 2026-09; the title, or else a heading",
        texts=("发布设置",),
        slack=0,
        selectors=('input[placeholder*="作品标题"]',),
    ),
    Mark(name="uploaded", source="F: 2026-09", texts=("重新上传",), slack=2),
    Mark(name="upload_failed", source="F: 2026-09", texts=("上传失败",), slack=2),
    Mark(name="no_declaration", source="P: several, 2026", texts=("未添加自主声明",), slack=2, within="panels"),
)
