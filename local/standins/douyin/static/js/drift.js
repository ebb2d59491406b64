// Small redesigns, as they happen every few weeks: what was captured stays recognisable to a person.

let mode = "off";

export function setDrift(given) {
  mode = given;
}

/** spaces: a blank in the middle of each text, as antd puts one into buttons of two characters. */
export function driftedText(text) {
  const letters = [...text];
  if (mode !== "spaces" || letters.length < 2) return text;
  const middle = Math.ceil(letters.length / 2);
  return ` ${letters.slice(0, middle).join("")} ${letters.slice(middle).join("")} `;
}

/** wrappers: each child of a block in an element of its own, which the layout does not feel. */
export function driftedChildren(tag, children) {
  if (mode !== "wrappers" || !["div", "section", "label"].includes(tag)) return children;
  return children.map((child) => (child instanceof Element && child.tagName !== "INPUT" && child.tagName !== "BR" ? around(child) : child));
}

function around(child) {
  const node = document.createElement("div");
  node.className = "layer-wrap";
  node.style.display = "contents";
  node.append(child);
  return node;
}

const TAGS = { button: "div", label: "div", p: "div", h2: "div", h3: "div", h5: "div", li: "div", ul: "div", section: "div", span: "em" };

/** tags: the same thing as another element, with the same behaviour. */
export function driftedElement(tag) {
  const other = mode === "tags" ? TAGS[tag] : undefined;
  const node = document.createElement(other ?? tag);
  if (other && tag === "button") behaveAsButton(node);
  if (other && tag === "label") behaveAsLabel(node);
  return node;
}

function behaveAsButton(node) {
  node.setAttribute("role", "button");
  node.tabIndex = 0;
  Object.defineProperty(node, "disabled", {
    get: () => node.getAttribute("aria-disabled") === "true",
    set: (value) => node.setAttribute("aria-disabled", String(Boolean(value))),
  });
  node.addEventListener("click", (event) => node.disabled && event.stopImmediatePropagation(), true);
}

function behaveAsLabel(node) {
  node.addEventListener("click", (event) => {
    const input = node.querySelector("input");
    if (input && event.target !== input) input.click();
  });
}
