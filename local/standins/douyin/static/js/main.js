// The router: one shell for all addresses, rendered after the site knows who is asking.

import { LoggedOut } from "./api.js";
import { clearFloating, el, fill, late, pace } from "./dom.js";
import { home } from "./pages/home.js";
import { login } from "./pages/login.js";
import { manage } from "./pages/manage.js";
import { post } from "./pages/post.js";
import { frame } from "./pages/frame.js";
import { landing } from "./pages/landing.js";
import { upload } from "./pages/upload.js";
import { verify } from "./pages/verify.js";
import { leaveForLogin, onNavigate, refresh, site } from "./state.js";

const PAGES = [
  [/^\/creator-micro\/home\/?$/, home, "home"],
  [/^\/creator-micro\/content\/upload\/?$/, upload, "upload"],
  [/^\/creator-micro\/content\/post\/video\/?$/, post, "upload"],
  [/^\/creator-micro\/content\/publish\/?$/, post, "upload"],
  [/^\/creator-micro\/content\/manage\/?$/, manage, "work_manage"],
];

const root = document.getElementById("root");

async function render() {
  clearFloating();
  await refresh();
  await pace();
  const path = location.pathname;
  if (!site.user) {
    if (path === "/" || site.scenario.logged_out === "stay") return login(root);
    return location.replace(`/?redirect_url=${encodeURIComponent(location.href)}`);
  }
  // Now and then a fresh login is left here (reported 2025).
  if (path === "/" && new URLSearchParams(location.search).has("is_new_connect")) return landing(root);
  if (site.scenario.login_flash === "on" && !root.firstChild) {
    fill(root, el("div", { class: "login-page-Gt5Hb9" }, el("h2", { text: "扫码登录" })));
    await late();
  }
  const found = PAGES.find(([pattern]) => pattern.test(path));
  if (!found) return location.replace("/creator-micro/home");
  const [, page, menu] = found;
  const content = frame(root, menu);
  fill(content);
  if (page === upload && site.challenge) return (await verify(site.challenge)) ? render() : undefined;
  await pace();
  return page(content);
}

onNavigate(render);
addEventListener("popstate", render);
// Whatever a page was asking for when the login ended.
addEventListener("unhandledrejection", (event) => {
  if (!(event.reason instanceof LoggedOut)) return;
  event.preventDefault();
  leaveForLogin();
});
render();
