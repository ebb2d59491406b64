// The front page as somebody sees it who is logged in: it says nothing of the login, and nothing of the creator.

import { el, fill } from "../dom.js";

export function landing(root) {
  const enter = el("a", { href: "/creator-micro/home", text: "进入创作者中心" });
  fill(
    root,
    el("div", { class: "login-page-Gt5Hb9" }, el("div", { class: "login-intro-Ds1Ja6" }, el("h2", { text: "抖音创作者中心" }), el("p", { text: "一站式内容管理与数据服务平台" }), enter)),
  );
}
