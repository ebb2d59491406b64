"""Self-declarations: the six of summer 2026 and the six before them, with the extras each one needs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SUB_CHOICES = ("取材站内", "取材站外")


@dataclass(frozen=True)
class Declaration:
    """One option: its value on the wire, its text, and what else must be said with it."""

    value: str
    label: str
    needs: str = ""


NEW = (
    Declaration("aigc", "内容由AI生成"),
    Declaration("personal_opinion", "内容为个人观点或见解"),
    Declaration("repost", "内容为转载信息", "source"),
    Declaration("marketing", "内容含营销推广信息"),
    Declaration("only_fun_new", "虚构演绎，仅供娱乐"),
    Declaration("no_declare", "无需添加自主声明"),
)
OLD = (
    Declaration("self_shoot", "内容自行拍摄", "place"),
    Declaration("from_net_v3", "内容取材网络", "source"),
    Declaration("aigc", "内容由AI生成"),
    Declaration("maybe_unsuitable", "可能会引人不适"),
    Declaration("only_fun_new", "虚构演绎，仅供娱乐"),
    Declaration("dangerous_behavior", "危险行为，请勿模仿"),
)


def options(dialog: object) -> tuple[Declaration, ...]:
    return OLD if dialog == "old" else NEW


def check(said: Mapping[str, Any], dialog: object) -> dict[str, Any]:
    """The declaration as the ground truth keeps it; ValueError with the site's message when it is wrong."""
    chosen = next((option for option in options(dialog) if option.value == said.get("choose_value")), None)
    if chosen is None:
        raise ValueError("参数错误：自主声明")
    truth: dict[str, Any] = {"choice": chosen.label, "sub_choice": None, "place": None, "date": None}
    if chosen.needs == "source":
        # The dialog lets 确定 through before the sub-choice (captured 2026-09), so only a wrong one is refused.
        if said.get("source") not in {None, *_SUB_CHOICES}:
            raise ValueError("参数错误：取材来源")
        truth["sub_choice"] = said.get("source")
    if chosen.needs == "place":
        place, date = said.get("place"), said.get("date")
        if not (isinstance(place, list) and place and all(isinstance(part, str) for part in place)):
            raise ValueError("请完善拍摄地点")
        if not (isinstance(date, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", date) and date >= "2020-01-01"):
            raise ValueError("请完善拍摄日期")
        truth.update(place=place, date=date)
    return truth
