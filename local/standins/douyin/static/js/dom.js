// Building elements, and the small delays after which a single-page site shows things.

import { driftedChildren, driftedElement, driftedText } from "./drift.js";
import { hashed } from "./hashes.js";

let paceMs = 80;

export function setPace(ms) {
  paceMs = ms;
}

/** Resolves after about `times` small delays; never at once, so that nobody may rely on being first. */
export function pace(times = 1) {
  const ms = paceMs * times * (0.7 + 0.6 * Math.random());
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A second, at any pace: for what comes when nobody expects it any more. */
export function late() {
  return new Promise((resolve) => setTimeout(resolve, 1000));
}

/**
 * el("button", {class, on: {click}, text, …attributes}, …children)
 * Properties that browsers keep apart from attributes (value, checked, disabled, hidden) are set as such. The
 * site's own words are `text`; what people wrote is `data`, which no redesign changes.
 */
export function el(tag, props = {}, ...children) {
  const node = driftedElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") node.className = hashed(value);
    else if (name === "text") node.textContent = driftedText(value);
    else if (name === "data") node.textContent = value;
    else if (name.endsWith("placeholder")) node.setAttribute(name, driftedText(value));
    else if (name === "html") node.innerHTML = value;
    else if (name === "on") for (const [type, run] of Object.entries(value)) node.addEventListener(type, run);
    else if (["value", "checked", "disabled", "hidden", "multiple"].includes(name)) node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  const present = children.flat().filter((child) => child !== null && child !== undefined && child !== false);
  node.append(...driftedChildren(tag, present));
  return node;
}

/** A Semi button: role button, its text in .semi-button-content as the library nests it. */
export function button(text, classes, click, props = {}) {
  return el(
    "button",
    { type: "button", class: `semi-button ${classes}`, on: click ? { click } : undefined, ...props },
    el("span", { class: "semi-button-content", text }),
  );
}

export function setClass(node, classes) {
  node.className = hashed(classes);
}

/** Replace what a node holds, as one render does. */
export function fill(node, ...children) {
  const present = children.flat().filter((child) => child !== null && child !== undefined && child !== false);
  node.replaceChildren(...driftedChildren(node.tagName.toLowerCase(), present));
}

/** Floating things belong to their page: a navigation takes them along. Toasts stay. */
export function clearFloating() {
  for (const node of document.querySelectorAll("[data-floating]")) if (!node.querySelector(".semi-toast-wrapper")) node.remove();
}

/** A portal at the end of the body: where Semi puts everything that floats. */
export function portal(className = "semi-portal", ...children) {
  const node = el("div", { class: className, style: "z-index: 1000;", "data-floating": "" }, el("div", { class: `${className}-inner` }, ...children));
  document.body.append(node);
  return node;
}
