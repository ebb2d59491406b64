// What every page knows: who is logged in, the switches, and how to get elsewhere.

import { call } from "./api.js";
import { setPace } from "./dom.js";
import { setDrift } from "./drift.js";
import { useSalt } from "./hashes.js";
import { setZone } from "./time.js";

export const site = { user: null, scenario: {}, seen: [], draft: null, challenge: null, declarations: [] };

export async function refresh() {
  const config = await call("/site/config");
  Object.assign(site, config);
  setPace(config.scenario.pace);
  setDrift(config.scenario.drift);
  setZone(config.scenario.schedule_zone);
  await useSalt(config.salt);
}

let render = () => {};

export function onNavigate(run) {
  render = run;
}

/** Client-side navigation, as a single-page site does it. */
export function navigate(path) {
  history.pushState(null, "", path);
  return render();
}

/** The login is gone: leave for the login page and remember where we were, or show it in place. */
export function leaveForLogin() {
  if (site.scenario.logged_out === "stay") {
    location.reload();
    return;
  }
  const here = location.origin + location.pathname + location.search;
  location.assign(`/?redirect_url=${encodeURIComponent(here)}`);
}
