// The first page after a login.

import { el, fill } from "../dom.js";
import { site } from "../state.js";

export function home(content) {
  const { user } = site;
  const numbers = [["关注", user.following_count], ["粉丝", user.follower_count], ["获赞", user.total_favorited]];
  fill(
    content,
    el(
      "section",
      { class: "card-Ad8Xm2 profile-Er5Lp9" },
      el("img", { class: "avatar-Yh2Gc6", src: user.avatar_thumb.url_list[0], alt: "头像" }),
      el("div", {}, el("div", { class: "name-_lSSDc", data: user.nickname }), el("div", { class: "unique_id-EuH8eA", text: `抖音号：${user.unique_id}` }), el("div", { class: "signature-HLGxt7", text: user.signature })),
      el("div", { class: "statics-zgcd_z" }, numbers.map(([name, value]) => el("div", { class: "statics-item-MDWoNA" }, el("b", { text: String(value) }), el("span", { text: name })))),
    ),
    el(
      "section",
      { class: "card-Ad8Xm2" },
      el("h3", { text: "数据中心" }),
      el("div", { class: "tiles-Fg4Zk8" }, ["播放量", "主页访问", "作品点赞", "作品分享", "作品评论", "净增粉丝"].map((name, index) => el("div", { class: "tile-Xw3Qy5" }, el("span", { text: name }), el("b", { text: String((index * 731 + 148) % 997) })))),
    ),
    el("section", { class: "card-Ad8Xm2" }, el("h3", { text: "近期活动" }), el("p", { class: "muted-Pl9Sd3", text: "城市漫步计划：记录你身边的街道，赢取流量奖励" }), el("p", { class: "muted-Pl9Sd3", text: "知识创作人训练营第十二期报名中" })),
  );
}
