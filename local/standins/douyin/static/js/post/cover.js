// 设置封面: two slots, and a dialog with four file inputs of which one is right. The AI panel on the left has
// the first two (captured 2026-09).

import { send } from "../api.js";
import { button, el, fill, pace, portal } from "../dom.js";
import { ask } from "../semi/modal.js";
import { toast } from "../semi/toast.js";
import { site } from "../state.js";

const SLOTS = [
  { key: "vertical", step: "设置竖封面", tip: "竖封面3:4", short: "竖封面" },
  { key: "horizontal", step: "设置横封面", tip: "横封面4:3", short: "横封面" },
];

export class Covers {
  constructor(onChange) {
    this.set = { vertical: null, horizontal: null };
    this.onChange = onChange;
    this.slots = el("div", { class: "coverControl-CjlzqC" });
    this.recommended = el("div", { class: "recommendCoverContainer-Vv5Ct3" });
    this.node = el("div", { class: "content-upload-new" }, this.slots, el("div", { class: "recommend-Pb7Fq1" }, el("p", { class: "recommendTitle-Jd2Wz8", text: "Ai智能推荐封面" }), this.recommended));
    this.draw();
    this.recommend();
  }

  draw() {
    fill(
      this.slots,
      SLOTS.map(({ key, tip }) =>
        el(
          "div",
          { class: `cover-Jg3T4p cover-${key === "vertical" ? "tall-Xe1Ms4" : "wide-Bd6Yl9"}`, on: { click: () => this.open(key) } },
          this.set[key] ? el("img", { class: "cover-img-Ow3Hr5", src: this.set[key].url, alt: "" }) : el("span", { class: "cover-plus-Na8Gi2", text: "+" }),
          el("div", { class: "title-wA45Xd", text: this.set[key] ? "编辑封面" : "选择封面" }),
          el("div", { class: "cover-tip-Ct0Vj6", text: tip }),
        ),
      ),
    );
  }

  /** Frames of the video, offered and never applied by themselves. */
  async recommend() {
    fill(this.recommended, el("span", { class: "muted-Pl9Sd3", text: "生成中" }));
    await pace(10);
    fill(
      this.recommended,
      [210, 330, 30].map((hue) => {
        const canvas = el("canvas", { class: "recommendCover-vWWsHB", width: "540", height: "720", on: { click: () => this.applyRecommended(canvas) } });
        const brush = canvas.getContext("2d");
        const colours = brush.createLinearGradient(0, 0, 540, 720);
        colours.addColorStop(0, `hsl(${hue} 80% 62%)`);
        colours.addColorStop(1, `hsl(${hue + 60} 80% 30%)`);
        brush.fillStyle = colours;
        brush.fillRect(0, 0, 540, 720);
        return canvas;
      }),
    );
  }

  async applyRecommended(canvas) {
    const question = await ask({ title: "提示", text: "是否确认应用此封面？" });
    if (!(await question.closed)) return;
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    this.apply({ vertical: await deposit(blob) });
  }

  apply(chosen) {
    for (const [key, cover] of Object.entries(chosen)) if (cover) this.set[key] = cover;
    this.draw();
    this.onChange();
    this.nag();
  }

  nag() {
    const missing = SLOTS.find(({ key }) => !this.set[key]);
    document.querySelector("[data-nag]")?.closest(".dy-creator-content-portal").remove();
    if (!missing || missing.key === "vertical") return;
    const node = portal(
      "dy-creator-content-portal",
      el("div", { class: "cover-nag-Gx2Uk7", "data-nag": "" }, el("span", { text: "你的作品可能会在精选频道展示，设置横封面可获得更多流量 " }), el("span", { class: "declare-link-Lx7Pg2", text: "立即设置 横封面", on: { click: () => { node.remove(); this.open("horizontal"); } } })),
    );
    const leave = (event) => {
      if (event.key !== "Escape") return;
      node.remove();
      removeEventListener("keydown", leave);
    };
    addEventListener("keydown", leave);
  }

  async open(key) {
    await pace(2);
    document.querySelector("[data-nag]")?.closest(".dy-creator-content-portal").remove();
    const first = site.scenario.cover_first;
    new CoverDialog(this, first === "clicked" ? key : first);
  }
}

class CoverDialog {
  constructor(covers, key) {
    this.covers = covers;
    this.key = key;
    this.chosen = { vertical: null, horizontal: null };
    this.working = false;
    this.steps = el("div", { class: "steps-Tq4Nb1" });
    this.left = el("div", { class: "ai-panel-Rs6Cm3" });
    this.stage = el("div", { class: "stage-Ky5Lw0" });
    this.right = el("div", { class: "upload-panel-Ft7Do2" });
    this.footer = el("div", { class: "buttons-BoCvr4" });
    this.node = portal(
      "dy-creator-content-portal",
      el("div", { class: "dy-creator-content-modal-mask" }),
      el(
        "div",
        { class: "dy-creator-content-modal-wrap" },
        el(
          "div",
          { class: "dy-creator-content-modal" },
          el(
            "div",
            { class: "dy-creator-content-modal-content", role: "dialog", "aria-modal": "true" },
            el("div", { class: "modal-head-Wj1Ax4" }, this.steps, el("button", { type: "button", class: "dy-creator-content-modal-close", "aria-label": "close", text: "✕", on: { click: () => this.node.remove() } })),
            el("div", { class: "modal-columns-Ze8Pu5" }, this.left, this.stage, this.right),
            this.footer,
          ),
        ),
      ),
    );
    this.aiPanel();
    this.draw();
  }

  draw() {
    const slot = SLOTS.find(({ key }) => key === this.key);
    const other = SLOTS.find(({ key }) => key !== this.key);
    const onward = site.scenario.cover_dialog === "both" ? button(other.step, "semi-button-tertiary secondary-zU1YLr", () => this.turn(other.key)) : null;
    fill(this.steps, SLOTS.filter(({ key }) => onward || key === this.key).map(({ key, step }) => el("div", { class: `step-OZJfD3${key === this.key ? " active-kxLyOI" : ""}`, text: step, on: { click: () => this.turn(key) } })));
    this.drawStage(slot);
    this.uploadPanel();
    this.done = button("完成", `semi-button-primary primary-RstHX_`, () => this.finish(), { disabled: this.working });
    fill(this.footer, onward, this.done);
  }

  drawStage(slot) {
    const cover = this.chosen[this.key] ?? this.covers.set[this.key];
    fill(
      this.stage,
      el("div", { class: `stage-frame-Ac9Sv6 is-${this.key}` }, cover ? el("img", { src: cover.url, alt: "" }) : el("span", { class: "muted-Pl9Sd3", text: "视频画面" }), this.working ? el("div", { class: "semi-spin", text: "封面处理中" }) : null),
      el("p", { class: "muted-Pl9Sd3", text: slot.tip }),
    );
  }

  async turn(key) {
    await pace(0.5);
    this.key = key;
    this.draw();
  }

  /** Semi's Upload has an input to choose and one to replace; so this panel brings the first two of four. */
  aiPanel() {
    const drawn = el("div", { class: "ai-result-Mb3Ei8" });
    fill(
      this.left,
      el("p", { class: "panel-title-Ho2Qk9", text: "AI 封面" }),
      uploadBox(el("div", { class: "semi-upload-drag-area semi-upload-drag-area-custom", role: "button" }, el("span", { text: "上传参考图" })), async (file) => {
        await pace(2);
        fill(drawn, el("img", { src: URL.createObjectURL(file), alt: "" }), el("span", { class: "muted-Pl9Sd3", text: "已添加参考图" }));
      }),
      drawn,
      el("textarea", { class: "ai-prompt-Sd5Ux1", placeholder: "描述你想要的封面" }),
    );
  }

  /** Rebuilt with its inputs after every upload. */
  uploadPanel() {
    fill(
      this.right,
      el("p", { class: "panel-title-Ho2Qk9", text: "上传封面" }),
      uploadBox(
        el("div", { class: "semi-upload-drag-area", role: "button" }, el("div", { class: "semi-upload-drag-area-main-text", text: "点击上传文件或拖拽文件到这里" }), el("div", { class: "semi-upload-drag-area-sub-text", text: "支持 jpg、png 格式" })),
        (file) => this.take(file),
      ),
    );
  }

  async take(file) {
    this.working = true;
    this.done.disabled = true;
    this.done.classList.add("semi-button-disabled");
    const { key } = this;
    this.drawStage(SLOTS.find((slot) => slot.key === key));
    try {
      this.chosen[key] = await deposit(file);
      await pace(3);
    } catch {
      toast("封面上传失败，请上传 jpg、png 格式的图片", "error");
    }
    this.working = false;
    this.draw();
  }

  async finish() {
    const chosen = SLOTS.filter(({ key }) => this.chosen[key] ?? this.covers.set[key]);
    const { cover_confirm: confirm, cover_residual: residual } = site.scenario;
    if (confirm === "always" || (confirm === "on" && chosen.length === 1)) {
      const text = chosen.length === 1 ? `仅设置了${chosen[0].short}，是否完成？` : "封面将应用于作品，是否完成？";
      const question = await ask({ title: "提示", text, no: "继续设置", yes: "仍然完成" });
      if (!(await question.closed)) return;
    }
    await pace();
    if (residual === "off") this.node.remove();
    if (this.chosen.vertical || this.chosen.horizontal) this.covers.apply(this.chosen);
  }
}

function uploadBox(area, take) {
  const input = (name) => el("input", { type: "file", class: name, accept: "image/png,image/jpeg,image/jpg", autocomplete: "off", tabindex: "-1", style: "display: none;" });
  const choose = input("semi-upload-hidden-input");
  choose.addEventListener("change", () => choose.files[0] && take(choose.files[0]));
  area.addEventListener("click", () => choose.click());
  return el("div", { class: "semi-upload upload-BvM5FF" }, choose, input("semi-upload-hidden-input-replace"), area);
}

async function deposit(blob) {
  const answer = await send("/imagex/upload", blob);
  if (answer.code !== 2000) throw new Error(answer.message);
  return answer.data;
}
