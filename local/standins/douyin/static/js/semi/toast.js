// Semi's toast: a line at the top for three seconds.

import { el, portal } from "../dom.js";

const LIFE = 3000;

export function toast(text, type = "info") {
  let list = document.querySelector(".semi-toast-wrapper");
  if (!list) {
    list = el("div", { class: "semi-toast-wrapper" });
    portal("semi-portal", list);
  }
  const node = el(
    "div",
    { class: `semi-toast semi-toast-${type}`, role: "alert", "aria-label": `${type} type` },
    el(
      "div",
      { class: "semi-toast-content" },
      el("span", { class: "semi-toast-icon", text: type === "success" ? "✓" : type === "info" ? "i" : "!" }),
      el("span", { class: "semi-toast-content-text", text }),
    ),
  );
  list.append(node);
  setTimeout(() => node.remove(), LIFE);
}
