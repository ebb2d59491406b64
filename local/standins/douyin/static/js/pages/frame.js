// The frame around every page of the creator centre: header, side menu, content.

import { el, fill } from "../dom.js";
import { navigate, site } from "../state.js";

const MENU = [
  ["home", "首页", "/creator-micro/home"],
  ["content", "内容管理", null],
  ["work_manage", "作品管理", "/creator-micro/content/manage"],
  ["collection", "合集管理", null],
  ["interaction", "互动管理", null],
  ["data", "数据中心", null],
  ["growth", "变现中心", null],
  ["create", "创作中心", null],
];

let current = null;

/** The content node of the frame, which is drawn once and stays over client-side navigation. */
export function frame(root, active) {
  if (!current || !current.node.isConnected) {
    current = build();
    fill(root, current.node);
  }
  for (const item of current.items) item.classList.toggle("is-active", item.dataset.name === active);
  return current.content;
}

function build() {
  const items = MENU.map(([name, label, path]) =>
    el(
      "li",
      { class: `semi-navigation-item menu-item-Rk3Lz9${path ? "" : " is-section"}`, id: `douyin-creator-master-menu-nav-${name}`, "data-name": name, role: "menuitem", on: { click: () => path && navigate(path) } },
      el("span", { class: "semi-navigation-item-text", text: label }),
    ),
  );
  const publish = el(
    "button",
    { type: "button", class: "semi-button semi-button-primary douyin-creator-master-button-Wq81Ta", id: "douyin-creator-master-side-upload", on: { click: () => navigate("/creator-micro/content/upload") } },
    el("span", { class: "semi-button-content", text: "高清发布" }),
  );
  const content = el("main", { class: "content-Zc7Yx4" });
  const node = el(
    "div",
    { class: "layout-Hs5Pd0" },
    el(
      "header",
      { class: "header-Tt4Mw8" },
      el("div", { class: "brand-Ux2Kf6", html: '<i class="logo-note"></i><b>抖音</b><span>创作者中心</span>' }),
      el("div", { class: "header-user-Jq9Vb3" }, el("span", { text: "消息" }), el("span", { text: "帮助" }), el("img", { src: site.user.avatar_thumb.url_list[0], alt: "" }), el("span", { data: site.user.nickname })),
    ),
    el(
      "div",
      { class: "body-Bv6Ne1" },
      el("aside", { class: "side-Oy3Ci7" }, el("div", { id: "douyin-creator-master-side-upload-wrap" }, publish), el("ul", { class: "semi-navigation-list", role: "menu" }, items)),
      content,
    ),
  );
  return { node, content, items };
}
