// 身份验证: a list of ways, then the SMS code. Nothing is sent before 获取验证码; its buttons are divs
// (captured 2026-05).

import { call } from "../api.js";
import { el, fill, late, pace, setClass } from "../dom.js";
import { toast } from "../semi/toast.js";
import { site } from "../state.js";

const LENGTH = 6;

/** Shows the challenge; resolves with whether it was passed. */
export async function verify({ kind, verify_ticket: ticket, mobile, qrcode_svg: code }) {
  await pace(2);
  const panel = el("div", { class: kind === "captcha" ? "captcha_verify_container" : "second-verify-panel" });
  const host = el("div", { id: kind === "captcha" ? "captcha_container" : "uc-second-verify", class: "uc-ui-container" }, el("div", { class: "second-verify-mask" }), panel);
  document.body.append(host);
  return new Promise((resolve) => {
    const end = async (passed) => {
      await pace();
      host.remove();
      resolve(passed);
    };
    const screen = { sms: list, face, captcha }[kind];
    screen(panel, { ticket, mobile, code, end });
  });
}

/** Its texts are made up: that the variant exists is all that is known. Nobody can pass it here. */
function face(panel, challenge) {
  fill(
    panel,
    header("身份验证", () => challenge.end(false)),
    el("p", { class: "second-verify-text", text: "为保障账号安全，请先完成身份验证，以确保为本人操作" }),
    el("div", { class: "uc-ui-verify_qrcode", html: challenge.code }),
    el("p", { class: "second-verify-text", text: "请使用抖音APP扫码，完成人脸验证" }),
  );
}

function captcha(panel, challenge) {
  const solve = async () => {
    await call("/passport/web/solve_captcha/", { verify_ticket: challenge.ticket });
    return challenge.end(true);
  };
  const slider = el("input", {
    type: "range",
    class: "secsdk-captcha-drag-icon",
    value: "0",
    on: {
      change: async () => {
        if (Number(slider.value) < 90) return (slider.value = "0");
        return solve();
      },
    },
  });
  if (site.scenario.sends_late === "captcha") late().then(() => solve());
  fill(panel, el("p", { class: "captcha_verify_bar--title", text: "请完成下列验证后继续" }), slider, el("p", { text: "按住左边按钮拖动完成上方拼图" }));
}

function list(panel, challenge) {
  const row = (label, note, open) =>
    el(
      "div",
      { class: "uc_verification_component_list_item-Xb3Ds6", on: { click: () => pace().then(open) } },
      el("div", {}, el("p", { class: "uc_verification_component_list_title", text: label }), el("p", { class: "uc_verification_component_list_note", text: note })),
      el("span", { text: "›" }),
    );
  fill(
    panel,
    header("身份验证", () => challenge.end(false)),
    el("p", { class: "second-verify-text", text: "为保障账号安全，请先完成身份验证，以确保为本人操作" }),
    row("接收短信验证码", "通过当前手机号接收验证码", () => codeScreen(panel, challenge)),
    row("发送短信验证", "使用当前手机号发送短信", () => otherWay(panel, challenge, "发送短信验证", "请使用当前手机号编辑短信 YZ 发送至 1069 0000 3666")),
    row("验证登录密码", "输入账号的登录密码", () => otherWay(panel, challenge, "验证登录密码", "当前账号未设置登录密码")),
  );
}

function otherWay(panel, challenge, title, text) {
  fill(panel, header(title, () => challenge.end(false)), el("p", { class: "second-verify-text", text }), back(panel, challenge));
}

function codeScreen(panel, challenge) {
  const error = el("div", { class: "uc-ui-verify_error" });
  const input = el("input", { type: "text", id: "button-input", class: "uc-ui-input_input", placeholder: "请输入验证码", maxlength: String(LENGTH), autocomplete: "off", on: { input: () => ready(input.value.length === LENGTH) } });
  const get = el("div", { class: "uc-ui-input_right", on: { click: () => ask() } }, el("p", { class: "uc-ui-input_right_text", text: "获取验证码" }));
  const submit = el("div", { text: "验证", on: { click: () => check() } });
  const ready = (on) => setClass(submit, `uc-ui-verify_sms-verify_button uc-ui-button primary${on ? "" : " disabled"}`);
  let waiting = false;
  ready(false);

  async function ask() {
    if (waiting) return;
    waiting = true;
    const answer = await call("/passport/web/send_code/", { verify_ticket: challenge.ticket });
    if (answer.error_code) {
      error.textContent = answer.data.description;
      waiting = false;
      return;
    }
    error.textContent = "";
    count(answer.data.retry_time);
  }

  function count(seconds) {
    if (!get.isConnected) return;
    waiting = seconds > 0;
    get.firstChild.textContent = waiting ? `${seconds}s 后重新发送` : "重新发送";
    if (waiting) setTimeout(() => count(seconds - 1), 1000);
  }

  async function check() {
    if (submit.classList.contains("disabled")) return;
    ready(false);
    const answer = await call("/passport/web/validate_code/", { verify_ticket: challenge.ticket, code: input.value });
    await pace();
    if (answer.error_code) {
      error.textContent = answer.data.description;
      ready(true);
      return;
    }
    toast("验证成功", "success");
    challenge.end(true);
  }

  fill(
    panel,
    header("接收短信验证码", () => challenge.end(false)),
    el("p", { class: "second-verify-text", text: `为确保是本人操作抖音账号，请输入当前手机号${challenge.mobile}收到的短信验证码` }),
    el("div", { class: "uc-ui-verify_sms-verify_input uc-ui-input" }, input, get),
    error,
    el("div", { class: "uc-ui-verify_buttons" }, el("div", { class: "uc-ui-verify_sms-verify_button uc-ui-button", text: "取消", on: { click: () => challenge.end(false) } }), submit),
    back(panel, challenge),
  );
}

function header(title, close) {
  return el("div", { class: "uc-ui-verify-new_header" }, el("div", { class: "uc-ui-verify-new_header-title", text: title }), el("span", { class: "uc-ui-verify-new_header-close", text: "✕", on: { click: close } }));
}

function back(panel, challenge) {
  return el("div", { class: "uc-ui-verify-new_footer" }, el("span", { text: "选择其他验证方式", on: { click: () => pace().then(() => list(panel, challenge)) } }), el("span", { text: "返回", on: { click: () => pace().then(() => list(panel, challenge)) } }));
}
