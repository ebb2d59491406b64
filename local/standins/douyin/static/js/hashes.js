// Class names end in build hashes (button-dhlUZE). Two captures ten weeks apart had the same ones, yet every
// build of the real site may change them: with hashes=random each run has its own.

const WHOLE = new Set(["XI37I0dP", "RhjdbXj8"]);
const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

let salt = "";

/** Take this run's salt; "" keeps the captured hashes. Rewrites the style sheet to match. */
export async function useSalt(given) {
  if (given === salt) return;
  salt = given;
  document.querySelector("style[data-hashes]")?.remove();
  if (!salt) return;
  const css = await (await fetch("/static/site.css")).text();
  const style = document.createElement("style");
  style.dataset.hashes = "";
  style.textContent = css.replace(/\.([A-Za-z][\w-]*)/g, (_, name) => `.${rename(name)}`);
  document.head.append(style);
}

/** A class attribute as written in the code → as this run shows it. */
export function hashed(classes) {
  return salt ? classes.split(" ").map(rename).join(" ") : classes;
}

function rename(name) {
  if (WHOLE.has(name)) return scramble(name, 8);
  const match = /^(.*-)([A-Za-z0-9_]{6})$/.exec(name);
  if (!match || !/[A-Z0-9]/.test(match[2])) return name;
  return match[1] + scramble(name, 6);
}

function scramble(name, length) {
  let state = 2166136261;
  let out = "";
  for (const letter of salt + name) state = Math.imul(state ^ letter.charCodeAt(0), 16777619) >>> 0;
  for (let at = 0; at < length; at += 1) {
    state = Math.imul(state ^ (state >>> 13), 1274126177) >>> 0;
    // A class may not start with a digit.
    out += LETTERS[state % (at === 0 ? 52 : 62)];
  }
  return out;
}
