"""Pages for people, made on the server: no script, no outside host, relative links only (a deployed API stands
under a stage prefix).
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from chalice.app import Response

_CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'"
)

_STYLE = """
:root { color-scheme: light dark; --accent: #2563eb; --line: #8884; --soft: #8881; }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 56rem; margin: 3rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.8rem; margin-bottom: .2rem } h2 { margin-top: 3rem } h3 { margin: 2.5rem 0 .3rem }
a { color: var(--accent) } p { margin: .4rem 0 }
code, pre { font: 14px/1.5 ui-monospace, monospace } code { background: var(--soft); padding: .1em .3em }
pre { background: var(--soft); padding: 1rem; overflow-x: auto; border-radius: 8px }
pre code { background: none; padding: 0 }
table { border-collapse: collapse; width: 100%; font-size: 15px }
td, th { text-align: left; vertical-align: top; padding: .45rem .8rem .45rem 0 }
tr { border-bottom: 1px solid var(--line) }
.method { font-weight: 700; color: var(--accent); margin-right: .5rem }
.muted { opacity: .7 }
"""


def html(body: str) -> Response:
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Social Publisher</title><style>{_STYLE}</style></head><body>
{body}
</body></html>
"""
    return Response(page, headers={"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _CSP})


def front_page() -> str:
    return """<h1>Social Publisher</h1>
<p class="muted">Publish to Douyin from code, and keep licensed Volcengine content in your own cloud.</p>
<table>
<tr><td><a href="docs">docs</a></td><td>Every route, field and error of the API</td></tr>
<tr><td><a href="openapi.json">openapi.json</a></td><td>The same as an OpenAPI 3.1 document</td></tr>
<tr><td><a href="api/v1/accounts">accounts</a></td><td>The accounts that are registered</td></tr>
<tr><td><a href="api/v1/sync">sync</a></td><td>How the content sync stands</td></tr>
<tr><td><a href="healthz">healthz</a></td><td>Whether the process answers</td></tr>
</table>"""


def docs_page(document: dict[str, Any]) -> str:
    """The OpenAPI document as a page to read."""
    schemas = document["components"]["schemas"]
    operations = [
        _operation(method, path, operation, schemas)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    info = document["info"]
    return "\n".join(
        [
            f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1>",
            f"<p class='muted'>{escape(info['summary'])} <a href='openapi.json'>OpenAPI 3.1</a></p>",
            *operations,
            "<h2>Errors</h2>",
            "<p>Every error, whatever its status, is one problem document (RFC 9457):</p>",
            _fields(schemas["Problem"], schemas),
        ]
    )


def _operation(method: str, path: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    parts = [
        f"<h3 id='{escape(operation['operationId'])}'>",
        f"<span class='method'>{method.upper()}</span><code>{escape(path)}</code></h3>",
        f"<p>{escape(operation['summary'])}. {escape(operation.get('description', ''))}</p>",
    ]
    if queries := [entry for entry in operation.get("parameters", ()) if entry["in"] == "query"]:
        fields = {entry["name"]: {**entry["schema"], "description": entry["description"]} for entry in queries}
        needed = [entry["name"] for entry in queries if entry["required"]]
        parts += ["<p><b>Query</b></p>", _fields({"properties": fields, "required": needed}, schemas)]
    if "requestBody" in operation:
        request = _schema(operation["requestBody"], schemas)
        parts += ["<p><b>Body</b></p>", _fields(request, schemas), _example(request)]
    parts.append("<p><b>Answers</b></p><table>")
    for status, response in operation["responses"].items():
        parts.append(f"<tr><td><code>{status}</code></td><td>{_code(response['description'])}</td></tr>")
    parts.append("</table>")
    answer = operation["responses"].get("200") or operation["responses"].get("202", {})
    if "content" in answer:
        parts.append(_fields(_schema(answer, schemas), schemas))
    return "\n".join(parts)


def _schema(holder: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    reference = holder["content"]["application/json"]["schema"]["$ref"]
    schema: dict[str, Any] = schemas[reference.rsplit("/", 1)[1]]
    return schema


def _fields(schema: dict[str, Any], schemas: dict[str, Any]) -> str:
    required = set(schema.get("required", []))
    rows = [
        f"<tr><td><code>{escape(name)}</code></td><td class='muted'>{escape(_type(field, schemas))}"
        f"{'' if name in required else ', optional'}</td><td>{escape(field.get('description', ''))}</td></tr>"
        for name, field in schema.get("properties", {}).items()
    ]
    return f"<table>{''.join(rows)}</table>"


def _type(field: dict[str, Any], schemas: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rsplit("/", 1)[1]
        values = schemas[name].get("enum")
        return " | ".join(values) if values else name
    if "anyOf" in field:
        return " | ".join(_type(choice, schemas) for choice in field["anyOf"])
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "const" in field:
        return str(field["const"])
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}), schemas)}{_limit(field, 'maxItems')}"
    return f"{field.get('type', 'any')}{_limit(field, 'maxLength')}"


def _limit(field: dict[str, Any], name: str) -> str:
    return f" (at most {field[name]})" if name in field else ""


def _example(schema: dict[str, Any]) -> str:
    example = {
        name: field["examples"][0] if "examples" in field else field.get("default")
        for name, field in schema.get("properties", {}).items()
    }
    return f"<pre><code>{escape(json.dumps(example, ensure_ascii=False, indent=2))}</code></pre>"


def _code(text: str) -> str:
    """Backticks to code elements."""
    pieces = escape(text).split("`")
    return "".join(piece if index % 2 == 0 else f"<code>{piece}</code>" for index, piece in enumerate(pieces))
