// Semi's select: shows the choice, lists the options in a portal.

import { el, pace, portal } from "../dom.js";

export function select(placeholder, options, classes, optionClass = "") {
  const shown = el("span", { class: "semi-select-selection-text", text: placeholder });
  let list = null;
  const close = () => {
    list?.remove();
    list = null;
    document.removeEventListener("mousedown", outside);
  };
  const outside = (event) => list && !list.contains(event.target) && close();
  const node = el("div", { class: `semi-select semi-select-single ${classes}`, role: "combobox", tabindex: "0", on: { click: open } }, el("div", { class: "semi-select-selection" }, shown), el("span", { class: "arrow-Wd3Bn0", text: "⌄" }));

  async function open() {
    if (list) return;
    await pace();
    const box = node.getBoundingClientRect();
    const items = options.map((option) =>
      el("div", { class: `semi-select-option ${optionClass}`, role: "option", text: option, on: { click: () => { shown.textContent = option; close(); } } }),
    );
    list = portal("semi-portal", el("div", { class: "semi-select-option-list", role: "listbox", style: `position: fixed; left: ${box.left}px; top: ${box.bottom + 4}px; min-width: ${box.width}px;` }, items));
    document.addEventListener("mousedown", outside);
  }
  return node;
}
