// The login panel: the QR with the phone form beside it all the time, so a visible code input says nothing.

import { call } from "../api.js";
import { button, el, fill, pace } from "../dom.js";
import { site } from "../state.js";
import { toast } from "../semi/toast.js";
import { verify } from "./verify.js";

const POLL = 10;

const NOTE = '<svg class="qr-logo" viewBox="0 0 24 24"><rect width="24" height="24" rx="5" fill="#111"/><path d="M13 5v9.2a2.3 2.3 0 1 1-2-2.3" fill="none" stroke="#fff" stroke-width="1.8"/><path d="M13 5c.3 2 1.6 3.2 3.6 3.4" fill="none" stroke="#fff" stroke-width="1.8"/></svg>';

export function login(root) {
  const box = el("div", { id: "animate_qrcode_container", class: "animate_qrcode_container-Ks2Wd7" });
  const hint = el("p", { class: "qr-hint-Lm6Rt1", html: "打开「抖音APP」<br>点击左上角 <b>≡</b> 扫一扫登录" });
  fill(
    root,
    el(
      "div",
      { class: "login-page-Gt5Hb9" },
      el("header", { class: "login-header-Vc2Nx8", html: '<div class="brand-Ux2Kf6"><i class="logo-note"></i><b>抖音</b><span>创作者中心</span></div>' }),
      el(
        "div",
        { class: "login-body-Qe7Yo4" },
        el("div", { class: "login-intro-Ds1Ja6", html: "<h1>抖音创作者中心</h1><p>一站式内容管理与数据服务平台</p><ul><li>高清发布 · 支持 16G 大视频</li><li>多维数据 · 洞察作品表现</li><li>互动管理 · 高效经营粉丝</li></ul>" }),
        el(
          "div",
          { class: "login-panel-Iw3Ue0", id: "douyin_login_comp" },
          el("div", { class: "scan_qrcode_login_content-Fy8Br2", id: "douyin_login_comp_scan_code" }, el("h2", { text: "扫码登录" }), box, hint),
          phoneForm(),
        ),
      ),
    ),
  );
  return new QrLogin(box).run();
}

function phoneForm() {
  const phone = el("input", { type: "tel", id: "normal-input", class: "web-login-input-Bn4Ko7", placeholder: "请输入手机号", autocomplete: "off" });
  const code = el("input", { type: "tel", id: "button-input", class: "web-login-input-Bn4Ko7", placeholder: "请输入验证码", autocomplete: "off" });
  const complain = () => toast(phone.value ? "当前环境异常，请使用扫码登录" : "请输入手机号", "warning");
  return el(
    "div",
    { class: "mobile-form-Uv9Cz3", id: "douyin_login_comp_mobile_code" },
    el("h2", { text: "手机号登录" }),
    el("div", { class: "field-Ty6Ie5" }, el("span", { class: "prefix-Mj8Pw1", text: "+86" }), phone),
    el("div", { class: "field-Ty6Ie5" }, code, el("span", { class: "get-code-Ro5Dx4", text: "获取验证码", on: { click: complain } })),
    button("登录", "semi-button-primary", complain, { id: "douyin_login_comp_btn_id" }),
    el("p", { class: "agreement-Sx7Kd9", text: "登录即代表同意《用户协议》和《隐私政策》" }),
  );
}

/** One login panel's life: shows codes, asks how they stand, ends in cookies and a new address. */
class QrLogin {
  constructor(box) {
    this.box = box;
  }

  async run() {
    await this.newCode();
    while (this.box.isConnected) {
      await pace(POLL);
      if (!this.over) await this.poll();
    }
  }

  async newCode() {
    this.over = true;
    fill(this.box, el("div", { class: "qr-loading-Zs4Tm6" }));
    const { data, error_code: refused } = await call("/passport/web/get_qrcode/");
    if (refused) return (await verify(data)) ? this.newCode() : this.cover("安全验证", "点击重试", true);
    await pace(2);
    this.token = data.token;
    this.shown = "new";
    this.over = false;
    const picture =
      site.scenario.qr === "svg"
        ? el("div", { class: "RhjdbXj8", role: "img", "aria-label": "二维码", html: data.qrcode_svg })
        : el("img", { class: "RhjdbXj8", "aria-label": "二维码", src: `data:image/png;base64,${data.qrcode}` });
    fill(this.box, el("div", { class: "XI37I0dP" }, picture, el("div", { class: "qr-logo-wrap-Cu1Vf8", html: NOTE })));
  }

  async poll() {
    const answer = await call(`/passport/web/check_qrconnect/?token=${this.token}`).catch(() => null);
    if (!answer || !this.box.isConnected) return;
    if (answer.error_code === 2046) return this.challenge(answer.data);
    const { status, description, redirect_url: redirect } = answer.data;
    if (status === "confirmed") {
      this.over = true;
      const wanted = site.scenario.login_lands === "home" && new URLSearchParams(location.search).get("redirect_url");
      const target = wanted && URL.canParse(wanted) ? new URL(wanted) : new URL(redirect);
      location.assign(target.pathname + target.search);
      return;
    }
    if (status === this.shown) return;
    this.shown = status;
    if (status === "scanned") this.cover("扫码成功", "请在手机上确认登录", false);
    else {
      this.over = true;
      if (description) this.cover(description, "请稍后重试", true);
      else this.cover("二维码失效", "点击刷新", true);
    }
  }

  /** The layer over the code. An expired code stays under it, in the page. */
  cover(title, line, refreshes) {
    this.box.querySelector("[data-layer]")?.remove();
    const layer = el(
      "div",
      { class: `qr-layer-Ej5Lq3${refreshes ? " is-dead" : ""}`, "data-layer": "", on: refreshes ? { click: () => this.newCode() } : undefined },
      el("p", { class: "qr-layer-title-Oa2Xr7", text: title }),
      el("p", { class: "qr-layer-text-Hk9Fw5", text: line }),
    );
    this.box.append(layer);
  }

  async challenge(data) {
    this.over = true;
    const passed = await verify(data);
    if (passed) this.over = false;
    else this.cover("二维码失效", "点击刷新", true);
  }
}
