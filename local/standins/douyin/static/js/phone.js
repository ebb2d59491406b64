// The phone a person plays with: pick an account, scan the code on the screen, confirm, read SMS codes.

const TICK = 1000;
const given = new URLSearchParams(location.search).get("token");
const places = { users: document.getElementById("users"), scan: document.getElementById("scan"), sms: document.getElementById("sms") };
const phone = { user: null, token: given, status: given ? "new" : "idle", note: "" };
let users = [];

async function get(path) {
  return (await fetch(path)).json();
}

async function post(path, body) {
  return (await fetch(path, { method: "POST", body: JSON.stringify(body) })).json();
}

function node(tag, props, ...children) {
  const made = Object.assign(document.createElement(tag), props);
  made.append(...children);
  return made;
}

function drawUsers() {
  places.users.replaceChildren(
    ...users.map((user) => {
      const row = node("button", { className: "user", onclick: () => choose(user.uid) }, node("img", { src: user.avatar, alt: "" }), node("span", {}, user.nickname, node("small", { textContent: `抖音号 ${user.unique_id}` })));
      row.setAttribute("aria-pressed", String(user.uid === phone.user));
      return row;
    }),
  );
}

function choose(uid) {
  phone.user = uid;
  drawUsers();
  drawScan();
}

function drawScan() {
  const { status, note } = phone;
  const nickname = users.find((user) => user.uid === phone.user)?.nickname ?? "";
  const sheet = node("div", { className: "sheet" });
  if (status === "scanned") {
    sheet.append(
      node("p", { textContent: `将以「${nickname}」登录抖音创作者中心` }),
      node("button", { className: "primary", textContent: "确认登录", onclick: () => act("confirm", { token: phone.token, user: phone.user }, "confirmed") }),
      node("button", { textContent: "取消", onclick: () => act("refuse", { token: phone.token }, "refused") }),
    );
  } else {
    const text = { idle: "屏幕上没有二维码", new: "屏幕上有一个登录二维码", confirmed: "已确认登录", refused: "已取消", expired: "二维码失效" }[status] ?? "";
    sheet.append(node("p", { textContent: note || text }));
    if (status === "new") sheet.append(node("button", { className: "primary", textContent: "扫描屏幕上的二维码", onclick: () => act("scan", { token: phone.token }, "scanned") }));
  }
  places.scan.replaceChildren(sheet);
}

async function act(what, body, then) {
  const answer = await post(`/phone/api/${what}`, body);
  phone.note = answer.error ?? "";
  phone.status = answer.error ? "expired" : then;
  if (then === "confirmed" || then === "refused") phone.token = null;
  drawScan();
}

async function look() {
  if (phone.status !== "scanned") {
    const [newest] = await get("/phone/api/qr");
    const token = newest?.token ?? null;
    if (token && token !== phone.token) {
      Object.assign(phone, { token, status: newest.status, note: "" });
      drawScan();
    } else if (!token && phone.status === "new") {
      Object.assign(phone, { token: null, status: "expired" });
      drawScan();
    }
  }
  const messages = await get("/phone/api/sms");
  places.sms.replaceChildren(
    ...(messages.length
      ? messages.map(({ user, code }) => node("div", { className: "sms" }, node("div", { textContent: `【抖音】发给 ${users.find((one) => one.uid === user)?.nickname ?? user}` }), node("b", { textContent: code }), node("div", { textContent: "验证码，用于身份验证，请勿泄露" })))
      : [node("p", { textContent: "暂无短信" })]),
  );
}

users = await get("/phone/api/users");
choose(users[0].uid);
if (given) await act("scan", { token: given }, "scanned");
for (;;) {
  await look().catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, TICK));
}
