// 作品管理: the account's works, newest first.

import { call } from "../api.js";
import { button, el, fill, pace } from "../dom.js";
import { two, wall } from "../time.js";

const TABS = ["全部作品", "已发布", "审核中", "未通过"];
const PAGE = 12;

export function manage(content) {
  const list = el("div", { class: "video-list-Pe4Xs9" });
  const total = el("span", { class: "total-Wb2Lf7" });
  const tabs = TABS.map((label, index) => el("div", { class: "tab-item-BcCLTS", text: label, on: { click: () => show(index) } }));
  fill(
    content,
    el("section", { class: "card-Ad8Xm2" }, el("div", { class: "tabs-Ei8Zv4" }, tabs), total, list),
  );

  async function show(active) {
    tabs.forEach((tab, index) => tab.classList.toggle("is-active", index === active));
    fill(list, el("p", { class: "muted-Pl9Sd3", text: "加载中" }));
    let cursor = 0;
    let more = true;
    fill(list);
    const next = button("加载更多", "semi-button-tertiary", () => load());
    async function load() {
      const query = new URLSearchParams({ status: "0", count: String(PAGE), max_cursor: String(cursor), scene: "star_atlas", device_platform: "android", aid: "1128" });
      const answer = await call(`/janus/douyin/creator/pc/work_list?${query}`);
      await pace(2);
      ({ max_cursor: cursor, has_more: more } = answer);
      total.textContent = `共 ${answer.total} 个作品`;
      // Every work of this site stays under review, so two tabs are empty.
      const works = active === 0 || active === 2 ? answer.aweme_list : [];
      next.remove();
      list.append(...works.map(card));
      if (!list.children.length) list.append(el("p", { class: "muted-Pl9Sd3 empty-Bx6Hn1", text: "暂无作品" }));
      if (more && works.length) list.append(next);
    }
    await load();
  }
  return show(0);
}

function card(work) {
  const seconds = Math.round(work.duration / 1000);
  const scheduled = work.timing !== -1;
  return el(
    "div",
    { class: "video-card-zQ02ng" },
    el("div", { class: "video-card-cover-YI2B4X" }, work.Cover.url_list.map((src) => el("img", { src, alt: "" })), el("span", { class: "badge-T7Oakl", text: `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}` })),
    el(
      "div",
      { class: "video-card-content-Xl3Av7" },
      el("div", { class: "info-title-text-YTLo9y", data: work.title }),
      el("div", { class: "info-desc-Kc0Rw5", data: work.description }),
      el("div", { class: "info-time-iAYLF0", text: `${scheduled ? "定时发布 " : ""}${timeText(scheduled ? work.timing : work.create_time)}` }),
      el("div", { class: "info-status-Sn6Gp2", text: work.status_desc }),
    ),
    el("div", { class: "metrics-OGLvMH" }, [["播放", "play_count"], ["点赞", "digg_count"], ["评论", "comment_count"], ["分享", "share_count"]].map(([label, key]) => el("span", { text: `${label} ${work.statistics[key]}` }))),
  );
}

function timeText(moment) {
  const at = wall(moment);
  return `${at.year}年${two(at.month)}月${two(at.day)}日 ${two(at.hour)}:${two(at.minute)}`;
}
