// 定时发布: Semi's date-time picker. It starts at now + 2 h, fills itself again when cleared, and takes a new
// time only through 确定 in its panel; Enter and blur silently keep the old one (reported 2025-2026).

import { button, el, fill, pace, portal } from "../dom.js";
import { site } from "../state.js";
import { dateText, now, parse, text, two, unix, wall } from "../time.js";

export const SOONEST = 2 * 3600;
export const LATEST = 14 * 24 * 3600;
const WEEK = ["日", "一", "二", "三", "四", "五", "六"];
const ROW = 36;

export class Schedule {
  constructor() {
    this.committed = null;
    this.input = el("input", {
      type: "text",
      class: "semi-input semi-input-default",
      placeholder: "日期和时间",
      format: "yyyy-MM-dd HH:mm",
      autocomplete: "off",
      on: {
        focus: () => this.open(),
        click: () => this.open(),
        input: () => this.typed(),
        keydown: (event) => ["Enter", "Escape"].includes(event.key) && this.abandon(),
        blur: () => pace().then(() => this.panel || this.abandon()),
      },
    });
    this.node = el("div", { class: "date-picker-Zb4Fp6", hidden: true }, el("div", { class: "semi-datepicker semi-datepicker-dateTime" }, el("div", { class: "semi-datepicker-input" }, el("div", { class: "semi-input-wrapper" }, this.input))));
  }

  /** 定时发布 was chosen, or left. */
  async use(on) {
    await pace(on ? 1 : 0.1);
    this.node.hidden = !on;
    if (on && this.committed === null) this.seed();
    if (!on) this.close();
  }

  seed() {
    this.committed = Math.ceil((now() + SOONEST) / 60) * 60;
    this.input.value = text(this.committed);
  }

  open() {
    if (this.panel) return;
    this.draft = this.committed;
    this.month = wall(this.draft);
    this.showsTime = false;
    this.body = el("div", { class: "semi-datepicker semi-datepicker-panel-yam semi-datepicker-dateTime" });
    this.panel = portal("semi-portal", el("div", { class: "semi-popover-wrapper" }, el("div", { class: "semi-popover semi-popover-with-arrow", style: this.place() }, this.body)));
    this.onOutside = (event) => {
      if (!this.panel.contains(event.target) && event.target !== this.input) this.abandon();
    };
    document.addEventListener("mousedown", this.onOutside);
    pace().then(() => this.panel && this.draw());
  }

  place() {
    const box = this.input.getBoundingClientRect();
    const top = box.bottom + 380 > innerHeight ? Math.max(8, box.top - 384) : box.bottom + 4;
    return `position: fixed; left: ${box.left}px; top: ${top}px;`;
  }

  close() {
    this.panel?.remove();
    this.panel = null;
    document.removeEventListener("mousedown", this.onOutside);
  }

  commit() {
    this.committed = this.draft;
    this.input.value = text(this.committed);
    this.close();
    if (site.scenario.forgets === "schedule") pace(20).then(() => this.seed());
  }

  abandon() {
    this.input.value = this.committed === null ? "" : text(this.committed);
    this.close();
  }

  async typed() {
    const given = this.input.value;
    await pace(2);
    if (this.input.value !== given) return;
    if (!given.trim()) {
      this.seed();
      this.draft = this.committed;
    } else {
      const moment = parse(given);
      if (moment === null) return;
      this.draft = moment;
    }
    this.month = wall(this.draft);
    if (this.panel) this.draw();
  }

  pick(change) {
    this.draft = unix({ ...wall(this.draft), ...change });
    this.input.value = text(this.draft);
  }

  draw() {
    const at = wall(this.draft);
    const mode = (name, label, on) =>
      el("div", { class: `semi-datepicker-switch-${name}${on ? " semi-datepicker-switch-active" : ""}`, on: { click: () => this.turn(name === "time") } }, el("span", { class: "semi-datepicker-switch-text", text: label }));
    fill(
      this.body,
      this.showsTime ? this.times() : this.days(),
      el("div", { class: "semi-datepicker-switch" }, mode("date", dateText(at), !this.showsTime), mode("time", `${two(at.hour)}:${two(at.minute)}`, this.showsTime)),
      el("div", { class: "semi-datepicker-footer" }, button("取消", "semi-button-tertiary semi-button-borderless", () => this.abandon()), button("确定", "semi-button-primary", () => this.commit())),
    );
    for (const wheel of this.body.querySelectorAll(".semi-scrolllist-list-outer")) wheel.scrollTop = wheel.dataset.chosen * ROW;
  }

  async turn(showsTime) {
    await pace(0.5);
    this.showsTime = showsTime;
    if (this.panel) this.draw();
  }

  days() {
    const { year, month } = this.month;
    const move = (months) => {
      this.month = wall(unix({ year, month: month + months, day: 1 }));
      this.draw();
    };
    const step = (label, sign, months) => el("button", { type: "button", class: "semi-button semi-button-borderless semi-button-with-icon", "aria-label": label, text: sign, on: { click: () => move(months) } });
    const first = new Date(Date.UTC(year, month - 1, 1)).getUTCDay();
    const count = new Date(Date.UTC(year, month, 0)).getUTCDate();
    const cells = Array.from({ length: first }, () => el("div", { class: "semi-datepicker-day semi-datepicker-day-blank" }));
    const chosen = dateText(wall(this.draft));
    for (let day = 1; day <= count; day += 1) {
      const title = dateText({ year, month, day });
      const dead = unix({ year, month, day: day + 1 }) <= now() + SOONEST || unix({ year, month, day }) > now() + LATEST;
      cells.push(
        el(
          "div",
          { class: `semi-datepicker-day${dead ? " semi-datepicker-day-disabled" : ""}${title === chosen ? " semi-datepicker-day-selected" : ""}`, title, role: "gridcell", "aria-disabled": String(dead), on: dead ? undefined : { click: () => this.pickDay(year, month, day) } },
          el("div", { class: "semi-datepicker-day-main" }, el("span", { text: String(day) })),
        ),
      );
    }
    return el(
      "div",
      { class: "semi-datepicker-month-grid" },
      el("div", { class: "semi-datepicker-navigation" }, step("Previous year", "«", -12), step("Previous month", "‹", -1), el("div", { class: "semi-datepicker-navigation-month", text: `${year}年 ${month}月` }), step("Next month", "›", 1), step("Next year", "»", 12)),
      el("div", { class: "semi-datepicker-weekday" }, WEEK.map((name) => el("div", { class: "semi-datepicker-weekday-item", text: name }))),
      el("div", { class: "semi-datepicker-month" }, cells),
    );
  }

  async pickDay(year, month, day) {
    await pace(0.3);
    this.pick({ year, month, day });
    if (this.panel) this.draw();
  }

  times() {
    const at = wall(this.draft);
    return el("div", { class: "semi-datepicker-tpk" }, el("div", { class: "semi-scrolllist" }, el("div", { class: "semi-scrolllist-body" }, this.wheel("hour", 24, at.hour, "时"), this.wheel("minute", 60, at.minute, "分"))));
  }

  /** Plain numbers; the chosen one carries 时 or 分, and the wheel rolls to it. */
  wheel(unit, size, chosen, suffix) {
    const items = Array.from({ length: size }, (_, value) => el("li", { "data-value": String(value), on: { click: () => choose(value) } }));
    const outer = el("div", { class: "semi-scrolllist-list-outer", "data-chosen": String(chosen) }, el("ul", { role: "listbox", "aria-label": unit }, items));
    const mark = (value) =>
      items.forEach((item, index) => {
        item.textContent = two(index) + (index === value ? suffix : "");
        item.classList.toggle("semi-scrolllist-item-sel", index === value);
      });
    const choose = (value) => {
      this.pick({ [unit]: value });
      mark(value);
      outer.scrollTo({ top: value * ROW, behavior: "smooth" });
      const shown = this.body.querySelector(".semi-datepicker-switch-time span");
      if (shown) shown.textContent = text(this.draft).slice(11);
    };
    mark(chosen);
    return el("div", { class: `semi-scrolllist-item-wheel undefined-list-${unit}` }, el("div", { class: "semi-scrolllist-selector" }), outer);
  }
}
