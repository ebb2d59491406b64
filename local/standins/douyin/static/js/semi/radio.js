// Two kinds of radio live on the post page: Semi's own in dialogs, and labels over hidden check boxes.

import { el } from "../dom.js";

/** Semi's radioGroup. The text is pointer-events:none as captured in 2026-09: the label takes the click. */
export function radioGroup(name, options, onChange) {
  const labels = options.map(({ value, label }) => {
    const input = el("input", { type: "radio", class: "semi-radio-input", name, value, on: { change: () => choose(value) } });
    return el(
      "label",
      { class: "semi-radio", "data-value": value },
      el("span", { class: "semi-radio-inner" }, input, el("span", { class: "semi-radio-inner-display" })),
      el("span", { class: "semi-radio-addon", style: "pointer-events: none;", text: label }),
    );
  });
  function choose(value) {
    for (const label of labels) label.classList.toggle("semi-radio-checked", label.dataset.value === value);
    onChange(value);
  }
  return el("div", { class: "semi-radioGroup semi-radioGroup-vertical", role: "radiogroup" }, labels);
}

/** The settings' radios: label[data-checked] over a check box nobody can see. */
export function labelRadios(options, chosen, onChange) {
  const labels = options.map(({ value, label }) => {
    const input = el("input", { type: "checkbox", class: "radio-native", value: String(value), on: { change: () => choose(value) } });
    return el("label", { class: "radio-d4zkru one-line-pe7juM" }, input, el("span", { text: label }));
  });
  function choose(value) {
    labels.forEach((label, index) => {
      const on = options[index].value === value;
      label.dataset.checked = String(on);
      label.firstChild.checked = on;
    });
    onChange(value);
  }
  labels.forEach((label, index) => {
    label.dataset.checked = String(options[index].value === chosen);
    label.firstChild.checked = options[index].value === chosen;
  });
  return el("div", { class: "group-Nw9Qe2" }, labels);
}
