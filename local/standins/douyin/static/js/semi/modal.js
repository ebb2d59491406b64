// Semi's modal: in a portal, over a mask that takes every click.

import { button, el, pace, portal } from "../dom.js";

let number = 0;

/**
 * Opens after a small delay. `body` and `footer` are nodes; `close(value)` settles the promise `closed`.
 * Returns {node, close, closed}.
 */
export async function openModal({ title, body, footer, size = "small", classes = "" }) {
  await pace();
  let settle;
  const closed = new Promise((resolve) => (settle = resolve));
  const close = async (value) => {
    await pace(0.5);
    node.remove();
    settle(value);
  };
  const node = portal(
    "semi-portal",
    el("div", { class: "semi-modal-mask" }),
    el(
      "div",
      { class: "semi-modal-wrap", role: "modal", tabindex: "-1" },
      el(
        "div",
        { class: `semi-modal semi-modal-${size} ${classes}`, id: `dialog-${number++}` },
        el(
          "div",
          { class: "semi-modal-content", role: "dialog", "aria-modal": "true", "aria-label": title },
          el(
            "div",
            { class: "semi-modal-header" },
            el("h5", { class: "semi-modal-title", text: title }),
            el("button", { type: "button", class: "semi-modal-close semi-button semi-button-borderless", "aria-label": "close", text: "✕", on: { click: () => close(null) } }),
          ),
          el("div", { class: "semi-modal-body" }, body),
          footer ? el("div", { class: "semi-modal-footer" }, footer) : null,
        ),
      ),
    ),
  );
  return { node, close, closed };
}

/** A question with two buttons; resolves with whether the second one was taken. */
export async function ask({ title, text, no = "取消", yes = "确定", yesDisabled = false }) {
  const refuse = button(no, "semi-button-tertiary", () => modal.close(false));
  const accept = button(yes, "semi-button-primary", () => modal.close(true), { disabled: yesDisabled });
  const modal = await openModal({ title, body: el("p", { text }), footer: [refuse, accept] });
  return { closed: modal.closed, accept, close: modal.close };
}
