// The post page. On v2 the form comes only after the upload; on v1, or with form=early, it comes with it.

import { LoggedOut, call } from "../api.js";
import { button, el, fill, late, pace } from "../dom.js";
import { videoCard } from "../post/card.js";
import { Covers } from "../post/cover.js";
import { Declaration } from "../post/declaration.js";
import { Editor, MAX_LENGTH } from "../post/editor.js";
import { LATEST, SOONEST, Schedule } from "../post/schedule.js";
import { ask } from "../semi/modal.js";
import { tour } from "../semi/popover.js";
import { labelRadios } from "../semi/radio.js";
import { select } from "../semi/select.js";
import { toast } from "../semi/toast.js";
import { leaveForLogin, navigate, site } from "../state.js";
import { now } from "../time.js";
import { drop, task, watch } from "../upload_task.js";
import { verify } from "./verify.js";

const TITLE_MAX = 30;
const SLACK = 240;
const CHALLENGES = [2046, 2154];

export async function post(content) {
  if (task.state === "idle") return navigate("/creator-micro/content/upload");
  const early = site.scenario.post_page === "v1" || site.scenario.form === "early";
  const card = videoCard();
  if (early) return new Form(content, card);
  fill(content, el("section", { class: "card-Ad8Xm2" }, el("h3", { text: "发布视频" }), card));
  await uploaded(card);
  await pace(2);
  if (!card.isConnected) return undefined;
  toast("上传成功", "success");
  return new Form(content, card);
}

/** Resolves once the video is there, however often it took; or when the page was left. */
function uploaded(card) {
  return new Promise((resolve) => {
    const look = () => {
      if (task.state !== "done" && card.isConnected) return;
      stop();
      resolve();
    };
    const stop = watch(look);
    look();
  });
}

/** Whether the page itself sends the work once a challenge was passed. */
function goesOn() {
  return site.scenario.after_verification === "resend" || site.scenario.sends_late === "captcha";
}

class Form {
  constructor(content, card) {
    this.settings = { visibility: 0, download: 1, sync: 0, scheduled: false };
    this.editor = new Editor(site.scenario.description === "filename" ? task.name.replace(/\.[^.]+$/, "") : "");
    this.declaration = new Declaration();
    this.schedule = new Schedule();
    this.covers = new Covers(() => this.assistant());
    this.assist = el("div", { class: "assist-body-Bk4Jy2" });
    this.busy = false;
    fill(content, this.layout(card));
    this.assistant();
    tour("post", "视频预览功能：点击可预览作品在手机上的展示效果");
  }

  layout(card) {
    const section = (title, ...rows) => el("section", { class: "form-section-Wo7Cb3" }, el("h3", { class: "section-title-Ms1Dq5", text: title }), rows);
    const row = (label, ...body) => el("div", { class: "form-row-Eh6Rk0" }, el("div", { class: "row-label-Pz8Uv2", text: label }), el("div", { class: "row-body-Lt3Gn7" }, body));
    const set = (name) => (value) => (this.settings[name] = value);
    return el(
      "div",
      { class: "post-layout-Yc5Wj8" },
      el(
        "div",
        { class: "form-container-MDtobK new-laytout" },
        el("div", { class: "form-head-Od2Fx4" }, el("h2", { text: "发布视频" }), card),
        section(
          "基础信息",
          row("作品描述", el("div", { class: "describe-Nk9Sa6" }, this.titleField(), this.editor.node)),
          row("设置封面", this.covers.node),
          row("添加合集", el("div", { class: "mix-Ub1Qe3" }, select("合集", ["合集", "短剧"], "select-mix-type"), select("请选择合集", ["不选择合集", "我的日常"], "select-collection-nkL6sA", "collection-option"))),
          this.declaration.old ? null : this.declaration.row(),
        ),
        section(
          "扩展信息",
          row("添加标签", el("div", { class: "mix-Ub1Qe3" }, select("位置", ["位置", "小程序", "购物车"], "select-tag-Dv4Hy8"), el("div", { class: "semi-input-wrapper" }, el("input", { type: "text", class: "semi-input", placeholder: "输入地理位置" })))),
          row("关联热点", el("div", { class: "semi-input-wrapper" }, el("input", { type: "text", class: "semi-input", placeholder: "点击输入热点词" }))),
          row("同时发布", labelRadios([{ value: 0, label: "不同时发布" }, { value: 1, label: "同时发布到" }], 0, set("sync"))),
        ),
        section(
          "发布设置",
          site.scenario.drift === "removed" ? null : row("谁可以看", labelRadios([{ value: 0, label: "公开" }, { value: 2, label: "好友可见" }, { value: 1, label: "仅自己可见" }], 0, set("visibility"))),
          row("保存权限", labelRadios([{ value: 1, label: "允许" }, { value: 0, label: "不允许" }], 1, set("download"))),
          row(
            "发布时间",
            labelRadios([{ value: false, label: "立即发布" }, { value: true, label: "定时发布" }], false, (value) => {
              this.settings.scheduled = value;
              this.schedule.use(value);
            }),
            this.schedule.node,
          ),
        ),
        this.bottom(),
      ),
      this.assistantPanel(),
    );
  }

  titleField() {
    const counter = el("span", { class: "limit-FToEI9", text: `0/${TITLE_MAX}` });
    this.title = el("input", {
      type: "text",
      class: "semi-input semi-input-default",
      placeholder: "填写作品标题，为作品获得更多流量",
      on: {
        input: () => {
          if (this.title.value.length > TITLE_MAX) this.title.value = this.title.value.slice(0, TITLE_MAX);
          counter.textContent = `${this.title.value.length}/${TITLE_MAX}`;
        },
      },
    });
    return el("div", { class: "semi-input-wrapper title-wrap-Ia7Kz5" }, this.title, counter);
  }

  bottom() {
    this.publishButton = el("button", { type: "button", class: "button-dhlUZE primary-cECiOJ fixed-J9O8Yw", text: "发布", on: { click: () => this.publish() } });
    this.hint = el("span", { class: "publish-hint-Qs5Vd1", text: "点击发布后，如作品还在上传中，请勿关闭页面，等待上传发布完成。" });
    const later = el("button", { type: "button", class: "button-dhlUZE secondary-OvbC4m", text: "暂存离开", on: { click: () => pace().then(() => navigate("/creator-micro/content/upload?enter_from=publish")) } });
    return el("div", { class: "bottom-bar-Hg0Te6" }, this.publishButton, later, this.hint);
  }

  assistantPanel() {
    return el(
      "aside",
      { class: "postAssistant" },
      el("div", { class: "phone-preview-Fb9Mn2" }, task.preview ? el("video", { src: task.preview, muted: true, preload: "metadata" }) : null, el("span", { data: `@${site.user.nickname}` })),
      el("div", { class: "assist-title-Gk1Xo8", text: "发文助手" }),
      this.assist,
      this.declaration.old ? this.declaration.panel() : null,
      el("div", { class: "assist-title-Gk1Xo8", text: "快速填写" }),
      el("p", { class: "muted-Pl9Sd3", text: "使用上一次发布的设置" }),
    );
  }

  assistant() {
    const { vertical, horizontal } = this.covers.set;
    const missing = vertical && horizontal ? null : vertical ? "横封面缺失" : horizontal ? "竖封面缺失" : "横/竖双封面缺失";
    const state = el("span", { text: this.checked ? "作品未见异常" : "检测作品是否存在异常" });
    const run = el("span", { class: "declare-link-Lx7Pg2", text: this.checked ? "重新检测" : "快速检测", on: { click: () => this.check(state) } });
    fill(this.assist, el("div", { class: "assist-line-Xr4Pc7" }, state, run), missing ? el("div", { class: "assist-warn-Cw6Lo8", text: missing }) : null);
  }

  async check(state) {
    for (const percent of [18, 52, 87]) {
      state.textContent = `检测中${percent}%`;
      await pace(3);
    }
    this.checked = true;
    this.assistant();
  }

  // The button is dead only once the request is on its way: two quick clicks publish twice.
  async publish() {
    if (this.busy) return;
    await pace(0.5);
    const problem = this.problem();
    if (problem) {
      toast(problem, "error");
      return;
    }
    if (!this.declaration.old && !this.declaration.said && !(await this.withoutDeclaration())) return;
    if (site.scenario.challenge_at === "click" && !(await this.asksFirst())) return;
    if (site.scenario.sends_late === "toast") {
      toast("请完善作品信息", "error");
      await late();
    }
    this.setBusy(true);
    await task.done;
    try {
      if (task.state !== "done") toast("视频上传失败，请重新上传", "error");
      else await this.submit();
    } catch (error) {
      if (error instanceof LoggedOut) leaveForLogin();
      else toast("网络异常，请稍后重试", "error");
    } finally {
      this.setBusy(false);
    }
  }

  setBusy(busy) {
    this.busy = busy;
    this.publishButton.disabled = busy;
    this.publishButton.classList.toggle("is-loading", busy);
    this.hint.textContent = busy ? "正在发布" : "点击发布后，如作品还在上传中，请勿关闭页面，等待上传发布完成。";
  }

  problem() {
    if (!this.title.value.trim()) return "作品标题不能为空";
    if (this.editor.model.text.length > MAX_LENGTH) return `作品简介不能超过${MAX_LENGTH}个字`;
    if (site.scenario.cover === "mandatory" && !this.covers.set.vertical && !this.covers.set.horizontal) return "请设置封面后再发布";
    const ahead = this.schedule.committed - now();
    if (this.settings.scheduled && !(ahead >= SOONEST - SLACK && ahead <= LATEST)) return "定时发布时间需在2小时后至14天内";
    return "";
  }

  async withoutDeclaration() {
    const question = await ask({ title: "未添加自主声明", text: "请为作品添加自主声明，帮助用户了解作品内容", no: "添加声明", yes: "直接发布", yesDisabled: true });
    if (site.scenario.declaration_skip === "allowed") pace(10).then(() => (question.accept.disabled = false));
    const answer = await question.closed;
    if (answer === false) this.declaration.open();
    return answer === true;
  }

  /** Whether the work may be sent at once: a challenge comes first, and after it mostly a second click. */
  async asksFirst() {
    const challenge = await call("/site/publish_challenge");
    return !challenge.kind || ((await verify(challenge)) && goesOn());
  }

  async submit() {
    const answer = await call("/web/api/media/aweme/create_v2/", this.body());
    if (CHALLENGES.includes(answer.status_code)) {
      // Once passed, one is back on the form and has to click 发布 again; or the page does the rest itself.
      const passed = await verify(answer.data);
      if (passed && goesOn()) await this.submit();
      return;
    }
    await pace();
    if (answer.status_code !== 0) {
      toast(answer.status_msg, "error");
      return;
    }
    drop();
    toast("发布成功", "success");
    await navigate("/creator-micro/content/manage?enter_from=publish");
  }

  body() {
    const { text, topics } = this.editor.model;
    const { vertical, horizontal } = this.covers.set;
    return {
      item: {
        common: {
          item_title: this.title.value,
          text,
          text_extra: JSON.stringify(topics.map(({ name, id }) => ({ type: 1, hashtag_name: name, hashtag_id: id }))),
          video_id: task.videoId,
          media_type: 4,
          visibility_type: this.settings.visibility,
          download: this.settings.download,
          sync_elsewhere: this.settings.sync,
          timing: this.settings.scheduled ? this.schedule.committed : -1,
        },
        cover: { vertical: vertical?.uri ?? null, horizontal: horizontal?.uri ?? null },
        declare: this.declaration.said ? { user_declare_info: JSON.stringify(this.declaration.said) } : {},
      },
    };
  }
}
