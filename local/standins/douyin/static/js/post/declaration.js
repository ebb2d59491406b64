// 自主声明: a dialog of six, in the form of summer 2026 or in the one before it.

import { button, el, fill, pace } from "../dom.js";
import { openModal } from "../semi/modal.js";
import { radioGroup } from "../semi/radio.js";
import { site } from "../state.js";
import { toast } from "../semi/toast.js";

const SOURCES = [
  { value: "取材站内", label: "取材站内" },
  { value: "取材站外", label: "取材站外" },
];
// Country, province, city (captured in code only): the names, and that some end earlier, are made up.
const PLACES = {
  中国大陆: { 北京市: { 东城区: null, 朝阳区: null, 海淀区: null }, 上海市: { 黄浦区: null, 徐汇区: null }, 广东省: { 广州市: null, 深圳市: null } },
  中国香港: { 中西区: null, 九龙城区: null },
  新加坡: null,
};

export class Declaration {
  constructor() {
    this.said = null;
    this.old = site.scenario.declaration === "old";
    this.shown = el("span", { class: this.old ? "declare-link-Lx7Pg2" : "selectText-XSrMFZ", text: this.old ? "添加声明" : "请选择自主声明" });
  }

  /** The row in 基础信息 of today's form. */
  row() {
    return el(
      "section",
      { class: "wrapper-MLZdnB" },
      el("div", { class: "labelWrapper" }, el("div", { class: "title-cnbkZe", text: "自主声明" })),
      el("div", { class: "selectBox-buZRzi", on: { click: () => this.open() } }, this.shown, el("span", { class: "arrow-Wd3Bn0", text: "›" })),
    );
  }

  /** The entry in the assistant's panel of the older form. */
  panel() {
    return el(
      "div",
      { class: "declare-panel-Fe9Ub4" },
      el("div", { class: "assist-title-Gk1Xo8", text: "自主声明" }),
      el("p", { class: "muted-Pl9Sd3", text: "为你的作品添加提示，以便用户可以更好的了解作品创作信息" }),
      el("div", { on: { click: () => this.open() } }, this.shown),
    );
  }

  async open() {
    const said = {};
    const extra = el("div", { class: "declare-extra-Qv6Na3" });
    const confirm = button("确定", "semi-button-primary", () => done(), { disabled: true });
    const update = () => {
      confirm.disabled = !this.complete(said);
      confirm.classList.toggle("semi-button-disabled", confirm.disabled);
      confirm.classList.toggle("disabled", confirm.disabled);
    };
    const options = site.declarations.map(({ value, label }) => ({ value, label }));
    const group = radioGroup("declare", options, async (value) => {
      for (const key of Object.keys(said)) delete said[key];
      said.choose_value = value;
      await pace(0.5);
      // The sub-choices grow under the option they belong to.
      group.querySelector(`[data-value="${value}"]`).after(extra);
      fill(extra, this.extras(site.declarations.find((option) => option.value === value).needs, said, update));
      update();
    });
    update();
    const modal = await openModal({
      title: "对作品内容添加声明",
      body: el(
        "div",
        { class: "declare-body-Mt2Kc7" },
        el("p", { class: "muted-Pl9Sd3", text: "可在作品发布前添加声明，帮助他人减少困惑" }),
        el(
          "div",
          { class: "declare-columns-Hn5Es1" },
          el("div", {}, el("p", { class: "declare-head-Uo4Iv6", text: "请选择声明类型（单选）" }), group, extra),
          el("div", { class: "declare-preview-Ya8Jr9" }, el("p", { text: "移动端展示效果" }), el("div", { class: "declare-phone-Zk0Tb5" }, el("span", { text: "作者声明：此处显示具体的声明内容" }))),
        ),
      ),
      footer: el("div", { class: "btnWrapper-LtGF4z" }, button("取消", "semi-button-tertiary", () => modal.close(null)), confirm),
    });
    const done = async () => {
      if (said.source === "取材站内" && !this.old) {
        toast("请选择作品", "warning");
        return;
      }
      await modal.close(said);
    };
    const result = await modal.closed;
    if (!result) return;
    await pace(0.5);
    if (site.scenario.forgets === "declaration") return;
    this.said = { ...result };
    this.shown.textContent = site.declarations.find((option) => option.value === result.choose_value).label;
    this.shown.classList.add("is-chosen");
  }

  // The new dialog lets 确定 through as soon as one of the six is chosen (captured 2026-09).
  complete(said) {
    if (!said.choose_value) return false;
    if (!this.old) return true;
    const { needs } = site.declarations.find((option) => option.value === said.choose_value);
    if (needs === "source") return Boolean(said.source);
    if (needs === "place") return said.place?.length > 0 && /^\d{4}-\d\d-\d\d$/.test(said.date ?? "") && said.date >= "2020-01-01";
    return true;
  }

  extras(needs, said, update) {
    if (needs === "source") {
      const works = el("span", { class: "declare-link-Lx7Pg2", text: "选择作品", on: { click: () => toast("暂无可选择的作品") } });
      const group = radioGroup("source", SOURCES, (value) => {
        said.source = value;
        update();
      });
      group.firstChild.append(works);
      return group;
    }
    if (needs === "place") return [cascader(said, update), dateField(said, update)];
    return null;
  }
}

function cascader(said, update) {
  const shown = el("span", { class: "semi-cascader-selection-placeholder", text: "设置拍摄地点" });
  const lists = el("div", { class: "semi-cascader-option-lists", hidden: true });
  const level = (names, path) =>
    el(
      "ul",
      { class: "semi-cascader-option-list", role: "listbox" },
      names.map((name) => el("li", { class: "semi-cascader-option", role: "menuitem", on: { click: (event) => choose(event, [...path, name]) } }, el("span", { class: "semi-cascader-option-label", text: name }))),
    );
  const below = (path) => path.reduce((places, name) => places[name], PLACES);
  function draw(path) {
    const openPaths = [[], ...path.map((_, index) => path.slice(0, index + 1))].filter(below);
    fill(lists, openPaths.map((open) => level(Object.keys(below(open)), open)));
  }
  async function choose(event, path) {
    event.stopPropagation();
    await pace(0.5);
    draw(path);
    if (below(path)) return;
    said.place = path;
    shown.textContent = path.join(" / ");
    lists.hidden = true;
    update();
  }
  const selection = el("div", { class: "semi-cascader-selection", on: { click: () => pace(0.5).then(() => { draw([]); lists.hidden = false; }) } }, shown);
  return el("div", { class: "declare-field-Ri9Gd0" }, el("label", { text: "拍摄地点" }), el("div", { class: "semi-cascader semi-cascader-single", role: "combobox" }, selection, lists));
}

function dateField(said, update) {
  const input = el("input", { type: "text", class: "semi-input", placeholder: "设置拍摄日期", on: { input: () => { said.date = input.value; update(); } } });
  return el("div", { class: "declare-field-Ri9Gd0" }, el("label", { text: "拍摄日期" }), el("div", { class: "semi-input-wrapper" }, input));
}
