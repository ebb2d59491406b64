// shepherd.js tours: a card over a layer that takes every click until 我知道了.

import { call } from "../api.js";
import { el, pace } from "../dom.js";
import { site } from "../state.js";

/** Once in a login, a moment after the page has rendered. */
export async function tour(name, text) {
  if (site.scenario.popovers !== "on" || site.seen.includes(name)) return;
  const path = location.pathname;
  await pace(3);
  if (location.pathname !== path) return;
  const overlay = el("div", {
    class: "shepherd-modal-overlay-container shepherd-modal-is-visible",
    "data-floating": "",
    html: '<svg width="100%" height="100%"><rect width="100%" height="100%" fill="rgba(0,0,0,.45)"/></svg>',
  });
  const close = async () => {
    overlay.remove();
    card.remove();
    site.seen.push(name);
    await call("/site/seen", { name });
  };
  const card = el(
    "div",
    { class: "shepherd-element shepherd-enabled", "data-floating": "", role: "dialog", tabindex: "0" },
    el(
      "div",
      { class: "shepherd-content" },
      el("div", { class: "shepherd-text", text }),
      el("footer", { class: "shepherd-footer" }, el("button", { type: "button", class: "shepherd-button", text: "我知道了", on: { click: close } })),
    ),
  );
  document.body.append(overlay, card);
}
