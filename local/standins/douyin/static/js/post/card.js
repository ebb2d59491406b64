// The card of the video: progress while it uploads, 重新上传 once it is there, a retry when it failed.

import { el, fill } from "../dom.js";
import { ACCEPT, begin } from "../pages/upload.js";
import { navigate } from "../state.js";
import { drop, task, watch } from "../upload_task.js";

export function videoCard() {
  const node = el("div", { class: "video-card-wrap-Nq2Th6" });
  let shown = "";
  let text = null;
  const draw = () => {
    if (shown !== task.state) {
      shown = task.state;
      text = null;
      fill(node, { running, failed, done }[task.state]?.());
    }
    if (text) text();
  };

  function running() {
    const percent = el("span", { class: "percent-Kv3Wl8" });
    const left = el("span", { class: "muted-Pl9Sd3" });
    const bar = el("i");
    text = () => {
      percent.textContent = `上传中 ${task.percent}%`;
      left.textContent = `剩余时间 ${task.left}`;
      bar.style.width = `${task.percent}%`;
    };
    return el("div", { class: "progress-div" }, el("div", { class: "video-name-Ib7Sg4", text: task.name }), el("div", { class: "bar-Eo5Zc2" }, bar), el("div", { class: "progress-line-Uf1Yd9" }, percent, left, el("span", { class: "cancel-Gm4Aj0", text: "取消上传", on: { click: cancel } })));
  }

  function failed() {
    return el("div", { class: "progress-div" }, el("div", { class: "failed-Ln8Bo3", text: "上传失败" }), el("div", { class: "video-name-Ib7Sg4", text: task.name }), el("div", { class: "retry-Ck6Rv1" }, "重新上传", chooser()));
  }

  function done() {
    return el(
      "div",
      { class: "long-card-s4BQ2a" },
      el("div", { class: "preview-Qx9Ft5" }, task.preview ? el("video", { src: task.preview, muted: true, preload: "metadata" }) : null),
      el("div", { class: "video-info-Jw0Du7" }, el("div", { class: "video-name-Ib7Sg4", text: task.name }), el("div", { class: "ok-Vp2Xe4", text: "上传成功" })),
      el("div", { class: "card-action-Zy6Hk1", text: "添加音乐" }),
      el("div", { class: "card-action-Zy6Hk1" }, "重新上传", chooser()),
    );
  }

  function cancel() {
    drop();
    navigate("/creator-micro/content/upload");
  }

  const stop = watch(() => (node.isConnected ? draw() : stop()));
  draw();
  return node;
}

function chooser() {
  const input = el("input", { type: "file", name: "upload-btn", class: "upload-btn-input-UY_qeY", accept: ACCEPT, on: { change: () => begin(input.files[0]) } });
  return input;
}
