"""Pages for people, made on the server: no outside host, relative links only (a deployed API stands under a
stage prefix). They read without their one script, which copies what stands beside a button.
"""

from __future__ import annotations

import base64
import hashlib

from chalice.app import Response

_STYLE = """
:root { color-scheme: light dark; --accent: #2563eb; --line: #8884; --soft: #8881; --get: #0f766e;
  --post: #b45309; --put: #7c3aed; --patch: #7c3aed; --delete: #b91c1c }
@media (prefers-color-scheme: dark) { :root { --accent: #7aa2ff; --get: #5eead4; --post: #fbbf24;
  --put: #c4b5fd; --patch: #c4b5fd; --delete: #fca5a5 } }
* { box-sizing: border-box }
body { font: 16px/1.6 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; margin: 0 }
main { min-width: 0; max-width: 58rem; padding: 2.5rem 2rem 6rem; margin: 0 auto }
nav { border-right: 1px solid var(--line); padding: 2rem 1.2rem; font-size: 14px; overflow-y: auto }
nav h2 { font-size: 13px; margin: 1.4rem 0 .3rem; opacity: .7 }
nav ul { list-style: none; margin: 0; padding: 0 }
nav li { white-space: nowrap; overflow: hidden; text-overflow: ellipsis } nav a { text-decoration: none }
@media (min-width: 70rem) { body.wide { display: grid; grid-template-columns: 19rem 1fr }
  nav { position: sticky; top: 0; height: 100vh } }
@media (max-width: 69.99rem) { nav { border-right: 0; border-bottom: 1px solid var(--line); max-height: 40vh } }
h1 { font-size: 1.8rem; margin: 0 0 .2rem } h2 { margin: 3.5rem 0 .2rem } h3 { margin: 0; font-size: 1.1rem }
h4 { margin: 1.4rem 0 .2rem; font-size: .95rem }
a { color: var(--accent) } p { margin: .4rem 0 } p, td, li { overflow-wrap: anywhere } ul { margin: .3rem 0 }
article { border: 1px solid var(--line); border-radius: 10px; padding: 1.2rem 1.4rem; margin: 1.2rem 0;
  scroll-margin-top: 1rem } article:target { border-color: var(--accent); box-shadow: 0 0 0 1px var(--accent) }
code, pre { font: 13.5px/1.55 ui-monospace, Menlo, Consolas, monospace }
code { background: var(--soft); padding: .1em .3em; border-radius: 4px; overflow-wrap: anywhere }
pre { background: var(--soft); padding: .9rem 1rem; overflow-x: auto; border-radius: 8px; margin: .4rem 0 }
pre code { background: none; padding: 0; overflow-wrap: normal }
table { border-collapse: collapse; width: 100%; font-size: 14.5px }
td, th { text-align: left; vertical-align: top; padding: .35rem .9rem .35rem 0 } td:first-child { width: 14rem }
tr { border-bottom: 1px solid var(--line) }
.method { font: 700 12.5px/1 ui-monospace, monospace; margin-right: .6rem } .get { color: var(--get) }
.post { color: var(--post) } .put { color: var(--put) } .patch { color: var(--patch) }
.delete { color: var(--delete) }
.muted { opacity: .7 } .required { color: var(--delete); font-size: 12px }
.shell { position: relative } .shell button { position: absolute; top: .5rem; right: .5rem }
button { font: inherit; font-size: 13px; padding: .1rem .6rem; border: 1px solid var(--line);
  border-radius: 6px; background: Canvas; color: CanvasText; cursor: pointer }
button:hover { border-color: var(--accent) }
summary { cursor: pointer; margin: .3rem 0 }
"""

_SCRIPT = """
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  } catch {
    getSelection().selectAllChildren(code);
  }
});
"""


def _source(text: str) -> str:
    """How a Content-Security-Policy names an inline element by its text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_CSP = (
    f"default-src 'none'; style-src {_source(_STYLE)}; script-src {_source(_SCRIPT)}; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def html(body: str, *, title: str = "Social Publisher", wide: bool = False) -> Response:
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{_STYLE}</style></head><body{' class="wide"' if wide else ""}>
{body}
<script>{_SCRIPT}</script></body></html>
"""
    return Response(page, headers={"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _CSP})


def front_page() -> str:
    return """<main><h1>Social Publisher</h1>
<p class="muted">Publish to Douyin from code, and keep licensed Volcengine content in your own cloud.</p>
<table>
<tr><td><a href="docs">docs</a></td><td>Every route and field of the API, with requests to copy</td></tr>
<tr><td><a href="docs/errors">docs/errors</a></td><td>Every error: what it means, and what to do</td></tr>
<tr><td><a href="openapi.json">openapi.json</a></td><td>The contract as an OpenAPI 3.1 document</td></tr>
<tr><td><a href="api/v1/accounts">accounts</a></td><td>The accounts that are registered</td></tr>
<tr><td><a href="api/v1/sync">sync</a></td><td>How the content sync stands</td></tr>
<tr><td><a href="healthz">healthz</a></td><td>Whether the process answers</td></tr>
</table></main>"""
