// The description: a Slate-like editor. What counts is the model, which follows the page with a small delay;
// a topic is a chip only when it was chosen from the list (captured 2026-09).

import { call } from "../api.js";
import { el, fill, pace } from "../dom.js";
import { toast } from "../semi/toast.js";
import { site } from "../state.js";

export const MAX_LENGTH = 1000;
const MAX_TOPICS = 5;
const MENTION = /[#＃]([^\s#＃]*)$/;

export class Editor {
  constructor(text) {
    this.model = { text: "", topics: [] };
    this.typed = 0;
    this.caret = null;
    this.counter = el("span", { class: "count-Ge6Tz1" });
    this.zone = el("div", {
      class: "zone-container editor-kit-container editor editor-comp-publish notranslate",
      "data-slate-editor": "true",
      "data-placeholder": "添加作品简介",
      contenteditable: "true",
      spellcheck: "false",
      on: { input: () => this.onInput(), focus: () => this.onFocus(), keydown: (event) => this.onKey(event) },
    });
    this.zone.append(line(text));
    this.node = el(
      "div",
      { class: "editor-container-zRPSAi" },
      this.zone,
      el(
        "div",
        // Without this a click here would take the caret out of the text.
        { class: "toolbar-BNs4Fh", on: { mousedown: (event) => event.preventDefault() } },
        el("span", { class: "tool-Ud5Wy8", text: "#添加话题", on: { click: () => this.insert("#") } }),
        el("span", { class: "tool-Ud5Wy8", text: "@好友", on: { click: () => this.insert("@") } }),
        this.counter,
      ),
    );
    this.mention = new Mention(this);
    this.sync();
  }

  async onInput() {
    this.typed += 1;
    this.caret = caretIn(this.zone);
    const mine = this.typed;
    await pace(0.3);
    if (mine === this.typed) this.sync();
  }

  // The library puts the caret where its model has it, a moment after the focus: a selection made in
  // between is lost, unless something was typed.
  async onFocus() {
    const before = this.typed;
    await pace(0.6);
    if (before !== this.typed || document.activeElement !== this.zone) return;
    const selection = getSelection();
    if (this.caret && this.zone.contains(this.caret.node)) selection.collapse(this.caret.node, Math.min(this.caret.offset, this.caret.node.length ?? 0));
    else {
      selection.selectAllChildren(this.zone);
      selection.collapseToEnd();
    }
  }

  onKey(event) {
    if (event.key === "Enter" && this.mention.takeFirst()) event.preventDefault();
  }

  insert(text) {
    this.zone.focus();
    const selection = getSelection();
    if (!this.zone.contains(selection.anchorNode)) {
      selection.selectAllChildren(this.zone);
      selection.collapseToEnd();
    }
    document.execCommand("insertText", false, text);
  }

  /** Read the page into the model, and see whether a topic is being typed. */
  sync() {
    this.tidy();
    const lines = [];
    const topics = [];
    for (const node of this.zone.children) lines.push(readLine(node, topics));
    this.model = { text: lines.join("\n").replace(/\n+$/, ""), topics };
    if (site.scenario.too_long === "clipped" && this.model.text.length > MAX_LENGTH) return this.clip();
    this.zone.classList.toggle("is-empty", this.model.text === "");
    this.counter.textContent = `${this.model.text.length} / ${MAX_LENGTH}`;
    this.counter.classList.toggle("is-over", this.model.text.length > MAX_LENGTH);
    const at = caretIn(this.zone);
    const match = at && at.node.nodeType === Node.TEXT_NODE && MENTION.exec(at.node.data.slice(0, at.offset));
    if (match) this.mention.type(at.node, match.index, match[1]);
    else this.mention.end();
  }

  /** What is too much is taken off the end of the last line. */
  clip() {
    const texts = document.createTreeWalker(this.zone, NodeFilter.SHOW_TEXT);
    let last = null;
    while (texts.nextNode()) last = texts.currentNode;
    last.data = last.data.slice(0, Math.max(0, last.data.length - (this.model.text.length - MAX_LENGTH)));
    if (!last.data) last.remove();
    this.sync();
  }

  /** Everything lives in .ace-line; replacing all of the text at once loses them. */
  tidy() {
    if (this.zone.children.length && [...this.zone.childNodes].every((node) => node.classList?.contains("ace-line"))) return;
    const focused = document.activeElement === this.zone;
    const kept = [...this.zone.childNodes];
    const first = el("div", { class: "ace-line" });
    first.append(...kept.filter((node) => node.nodeName !== "DIV"));
    if (!first.childNodes.length) first.append(el("br"));
    const rest = kept.filter((node) => node.nodeName === "DIV");
    for (const node of rest) node.className = "ace-line";
    this.zone.replaceChildren(...(kept.length && rest.length === kept.length ? rest : [first, ...rest]));
    if (focused) {
      getSelection().selectAllChildren(this.zone.lastChild);
      getSelection().collapseToEnd();
    }
  }

  /** Put a chip in the place of `#typed`; false when there are enough already. */
  place(node, start, end, topic) {
    if (this.model.topics.length >= MAX_TOPICS) {
      toast(`最多添加${MAX_TOPICS}个话题`, "warning");
      return;
    }
    const rest = node.splitText(start);
    const after = rest.splitText(end - start);
    const chip = el("span", { class: "mention-Ip3Ob5", "data-mention": "#", "data-id": topic.cid, "data-name": topic.cha_name, contenteditable: "false", data: `#${topic.cha_name}` });
    rest.replaceWith(chip);
    const space = document.createTextNode(" ");
    chip.after(space);
    if (!after.data) after.remove();
    getSelection().collapse(space, 1);
    this.caret = { node: space, offset: 1 };
    this.typed += 1;
    this.sync();
  }
}

/** The list of topics. A layer over the page belongs to it, and stays when the word is ended by a space. */
class Mention {
  constructor(editor) {
    this.editor = editor;
    this.session = null;
    this.asked = 0;
    this.hot = suggested("");
    const leave = (event) => {
      if (!editor.node.isConnected) removeEventListener("keydown", leave);
      else if (event.key === "Escape") this.dismiss();
    };
    addEventListener("keydown", leave);
  }

  async type(node, start, word) {
    if (this.dismissed === node && this.dismissedAt === start) return;
    this.session = { node, start, end: start + 1 + word.length };
    const mine = ++this.asked;
    // A bare # shows the hot ones at once, and they stay until the word's own are there.
    if (word) await pace(1.5);
    if (mine !== this.asked) return;
    const found = await (word ? suggested(word) : this.hot);
    if (mine !== this.asked || !this.session) return;
    this.show(found);
  }

  show(found) {
    this.mount ??= el("div", { class: "mention-suggest-mount-dom", "data-floating": "" });
    const box = this.editor.node.getBoundingClientRect();
    const items = found.map((topic, index) =>
      el(
        "div",
        { class: `mention-suggest-item-container-TVOZMl${index ? "" : " active"}`, on: { mousedown: (event) => event.preventDefault(), click: () => this.choose(topic) } },
        el("span", { class: "tag-hash-view-name", data: topic.cha_name }),
        el("span", { class: "tag-hash-view-count", text: `${(topic.view_count / 10000).toFixed(1)}万次播放` }),
      ),
    );
    this.found = found;
    const list = el("div", { class: "mention-suggest-list-Yb8Ko4", style: `left: ${box.left}px; top: ${Math.min(box.top + 110, innerHeight - 240)}px;` }, items);
    fill(this.mount, el("div", { class: "publish-mention-wrapper", on: { mousedown: (event) => event.preventDefault() } }, list));
    if (!this.mount.isConnected) document.body.append(this.mount);
  }

  takeFirst() {
    if (!this.session || !this.found) return false;
    this.choose(this.found[0]);
    return true;
  }

  async choose(topic) {
    const { session } = this;
    if (!session) return;
    this.asked += 1;
    this.session = null;
    this.found = null;
    await pace(0.5);
    this.close();
    if (session.node.isConnected) this.editor.place(session.node, session.start, session.end, topic);
  }

  /** The word ended without a choice: the list goes, its layer does not. */
  end() {
    if (!this.session) return;
    const { node, start, end } = this.session;
    this.asked += 1;
    this.session = null;
    this.found = null;
    const layer = this.mount?.firstChild;
    if (layer) fill(layer);
    if (site.scenario.topics === "by_space" && node.isConnected && end > start + 1 && /\s/.test(node.data[end] ?? "")) this.make(node, start, end);
  }

  /** A word becomes a topic without having been suggested. */
  async make(node, start, end) {
    const { topic } = await call(`/aweme/v1/challenge/create/?${new URLSearchParams({ name: node.data.slice(start + 1, end) })}`);
    await pace();
    if (!node.isConnected) return;
    this.close();
    this.editor.place(node, start, end + 1, topic);
  }

  dismiss() {
    if (this.session) [this.dismissed, this.dismissedAt] = [this.session.node, this.session.start];
    this.asked += 1;
    this.session = null;
    this.found = null;
    this.close();
  }

  close() {
    this.mount?.remove();
    this.mount?.replaceChildren();
  }
}

async function suggested(keyword) {
  const answer = await call(`/aweme/v1/search/challengesug/?${new URLSearchParams({ keyword, source: "challenge_create" })}`);
  return answer.sug_list;
}

function line(text) {
  return el("div", { class: "ace-line" }, text ? document.createTextNode(text) : el("br"));
}

function readLine(node, topics) {
  let text = "";
  const walk = (part) => {
    if (part.nodeType === Node.TEXT_NODE) text += part.data.replace(/\u200b/g, "").replace(/\u00a0/g, " ");
    else if (part.dataset?.mention) {
      topics.push({ name: part.dataset.name, id: part.dataset.id });
      text += `#${part.dataset.name}`;
    } else for (const child of part.childNodes) walk(child);
  };
  walk(node);
  return text;
}

function caretIn(zone) {
  const { anchorNode: node, anchorOffset: offset } = getSelection();
  return node && zone.contains(node) ? { node, offset } : null;
}
