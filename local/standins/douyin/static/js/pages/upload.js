// The upload page: tabs, the draft bar, and a file input nobody can see.

import { call } from "../api.js";
import { button, el, fill, pace } from "../dom.js";
import { tour } from "../semi/popover.js";
import { toast } from "../semi/toast.js";
import { navigate, site } from "../state.js";
import { adopt, start } from "../upload_task.js";

const TABS = ["发布视频", "发布图文", "发布全景视频", "发布文章"];
export const ACCEPT = "video/x-flv,video/mp4,video/x-m4v,video/*,.mpeg,.mpg,.flv,.avi,.rm,.rmvb,.mov,.wmv,.m4v,.mp4,.webm";

export function postPath() {
  return site.scenario.post_page === "v1"
    ? "/creator-micro/content/publish?enter_from=publish_page"
    : "/creator-micro/content/post/video?enter_from=publish_page";
}

/** Upload a chosen file; false when it is no video. */
export function begin(file) {
  if (!file) return false;
  if (!/\.(mp4|m4v|mov|webm|flv|avi|mpe?g|rm|rmvb|wmv|mkv)$/i.test(file.name)) {
    toast("不支持的文件格式", "error");
    return false;
  }
  start(file);
  return true;
}

async function take(file) {
  if (!begin(file)) return;
  await pace(2);
  await navigate(postPath());
}

export function upload(content) {
  const body = el("div", { class: "upload-body-Dq3Wm6" });
  const tabs = TABS.map((label, index) => el("div", { class: "tab-item-BcCLTS", text: label, on: { click: () => show(index) } }));
  fill(content, el("section", { class: "card-Ad8Xm2 upload-card-Ks9Jw2" }, el("div", { class: "tabs-Ei8Zv4" }, tabs), body));

  function show(active) {
    tabs.forEach((tab, index) => tab.classList.toggle("is-active", index === active));
    fill(body, active === 0 ? videoTab() : el("p", { class: "muted-Pl9Sd3 empty-Bx6Hn1", text: "该功能请在电脑端新版中使用" }));
  }
  show(new URLSearchParams(location.search).get("default-tab") === "3" ? 1 : 0);
  tour("upload", "新增「共创中心」模块，管理你的共创作品。");
}

function videoTab() {
  const input = el("input", { type: "file", accept: ACCEPT, style: "display: none;", on: { change: () => take(input.files[0]) } });
  const drag = el(
    "div",
    {
      class: "container-drag-VAfIfu",
      role: "presentation",
      on: {
        click: (event) => event.target !== input && input.click(),
        dragover: (event) => event.preventDefault(),
        drop: (event) => {
          event.preventDefault();
          take(event.dataTransfer.files[0]);
        },
      },
    },
    el("div", { class: "container-drag-icon-Rr7Ub3", html: '<svg viewBox="0 0 48 48" width="56"><path d="M14 36a9 9 0 0 1-1-18 12 12 0 0 1 23-2 10 10 0 0 1-1 20" fill="none" stroke="#c6cad2" stroke-width="3"/><path d="M24 40V24m-6 6 6-6 6 6" fill="none" stroke="#fe2c55" stroke-width="3"/></svg>' }),
    el("div", { class: "container-drag-title-W84wYJ", text: "点击上传 或直接将视频文件拖入此区域" }),
    el("div", { class: "container-drag-info-Cc5Pk8", text: "视频时长60分钟以内，文件大小16G以内，推荐上传mp4、webm" }),
    button("上传视频", "semi-button-primary container-drag-btn-k6XmB4"),
    input,
  );
  return [draftBar(), el("div", { class: "container-Nf2Qa9" }, drag), rules()];
}

function draftBar() {
  if (!site.draft) return null;
  const bar = el(
    "div",
    { class: "form-hint-Xy4Sv0" },
    el("span", { text: "你还有上次未发布的视频，是否继续编辑？" }),
    el("span", { class: "continue-Ob6Tc2", text: "继续编辑", on: { click: resume } }),
    el("span", { class: "give-up-Lz1Ge7", text: "放弃", on: { click: giveUp } }),
  );
  async function resume() {
    adopt(site.draft);
    await pace();
    await navigate(postPath());
  }
  async function giveUp() {
    await call("/web/api/media/draft/discard/", {});
    await pace();
    bar.remove();
  }
  return bar;
}

function rules() {
  const cells = [
    ["视频大小", "支持时长60分钟以内，最大16GB的视频文件"],
    ["视频格式", "支持常用视频格式，推荐使用mp4、webm"],
    ["视频分辨率", "分辨率为720p（1280x720）及以上，支持无损上传4k"],
  ];
  return el("div", { class: "rules-Vt8Mi5" }, cells.map(([title, text]) => el("div", { class: "rule-Aj3Kd9" }, el("b", { text: title }), el("p", { text }))));
}
