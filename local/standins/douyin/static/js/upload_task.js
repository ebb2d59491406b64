// The one running upload. It outlives pages: choosing a file moves on to the post page at once.

import { LoggedOut, call, send } from "./api.js";
import { leaveForLogin } from "./state.js";

/** state: "idle" | "running" | "done" | "failed" */
export const task = { state: "idle", percent: 0, left: "", name: "", preview: "", videoId: "", done: Promise.resolve() };

let watchers = new Set();
let run = 0;
let leaving = new AbortController();

/** Calls back at every change of the task until the returned function is called. */
export function watch(callback) {
  watchers.add(callback);
  return () => watchers.delete(callback);
}

export function start(file) {
  begin();
  if (task.preview) URL.revokeObjectURL(task.preview);
  change({ state: "running", percent: 0, left: "计算中", name: file.name, preview: URL.createObjectURL(file), videoId: "" });
  const mine = run;
  task.done = transfer(file, mine).catch((error) => {
    if (error instanceof LoggedOut) leaveForLogin();
    else if (mine === run) change({ state: "failed" });
  });
}

/** Go on with a video that was uploaded before: 继续编辑. */
export function adopt(draft) {
  begin();
  change({ state: "done", percent: 100, name: draft.filename, preview: "", videoId: draft.video_id });
  task.done = Promise.resolve();
}

export function drop() {
  begin();
  change({ state: "idle", percent: 0, name: "", preview: "", videoId: "" });
}

function change(values) {
  Object.assign(task, values);
  for (const callback of [...watchers]) callback();
}

/** Whatever was under way is over. */
function begin() {
  run += 1;
  leaving.abort();
  leaving = new AbortController();
}

async function transfer(file, mine) {
  const { auth } = await call("/web/api/media/upload/auth/v5/");
  const headers = { Authorization: auth };
  const query = new URLSearchParams({ file_name: file.name, file_size: String(file.size) });
  const opened = await demand(await fetch(`/vod/v1/apply?${query}`, { method: "POST", headers }));
  const { video_id: videoId, part_size: partSize } = opened;
  const parts = Math.ceil(file.size / partSize);
  const began = performance.now();
  const { signal } = leaving;
  for (let number = 1; number <= parts; number += 1) {
    const offset = (number - 1) * partSize;
    const place = new URLSearchParams({ phase: "transfer", part_number: String(number), part_offset: String(offset) });
    const answer = await send(`/upload/v1/${videoId}?${place}`, file.slice(offset, offset + partSize), headers, signal);
    if (answer.code !== 2000) throw new Error(answer.message);
    if (mine !== run) return;
    const seconds = ((performance.now() - began) / 1000 / number) * (parts - number);
    change({ percent: Math.min(99, Math.round((number / parts) * 100)), left: `${Math.ceil(seconds)}秒` });
  }
  await demand(await fetch(`/upload/v1/${videoId}?phase=finish`, { method: "POST", headers }));
  if (mine === run) change({ state: "done", percent: 100, videoId });
}

async function demand(response) {
  const answer = await response.json();
  if (answer.status_code === 8) throw new LoggedOut("用户未登录");
  if (answer.code !== 2000) throw new Error(answer.message);
  return answer.data;
}
