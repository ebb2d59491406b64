"""The contract as pages to read: every operation with a request to copy, every schema, every error."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from chalicelib.api.catalog import answered_by, errors_by_area, group_of

if TYPE_CHECKING:
    from chalicelib.api.edge import Operation
    from chalicelib.errors import PublisherError

Schema = dict[str, Any]

# Headers that the introduction names.
_EVERYWHERE = {"X-Request-Id", "Content-Language", "RateLimit", "RateLimit-Policy"}
# A longer pattern is for programs; the description says it to people.
_MAX_LIMIT = 30


def docs_page(document: Schema, origin: str) -> str:
    """The OpenAPI document as a page. `origin` stands before the paths in the requests to copy."""
    groups: dict[str, list[tuple[str, str, Schema]]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups[operation["tags"][0]].append((method, path, operation))
    return "\n".join(
        [
            _contents(document, groups),
            "<main>",
            _introduction(document),
            *(_group(tag, groups[tag["name"]], document, origin) for tag in document["tags"]),
            _schemas(document["components"]["schemas"]),
            "</main>",
        ]
    )


_ERRORS_HEAD = """<p class='muted'>Every failure of the API is a problem document (RFC 9457); a task or a login
that fails tells of it in the same words. A program looks at <code>code</code> and <code>retryable</code>.
<a href='../docs'>All routes</a></p>"""


def errors_page(operations: list[Operation]) -> str:
    """Every error by its code, which is the anchor that `type` of a problem leads to."""
    parts = [
        "<main><h1>Errors</h1>",
        _ERRORS_HEAD,
    ]
    for area, errors in errors_by_area().items():
        parts += [f"<h2>{escape(area)}</h2>", *(_error(error, operations) for error in errors)]
    return "\n".join([*parts, "</main>"])


def _error(error: type[PublisherError], operations: list[Operation]) -> str:
    by = answered_by(error, operations)
    links = ", ".join(f"<a href='../docs#{one.name}'><code>{one.name}</code></a>" for one in by)
    where = group_of(by, operations) or links or "a task or a login that has failed"
    again = "The same request may succeed later." if error.retryable else "The same request will fail again."
    return f"""<article id='{escape(error.code)}'><h3><code>{escape(error.code)}</code></h3>
<p>{escape(error.title)} · <span lang='zh'>{escape(error.title_zh)}</span></p>
<table><tr><td>HTTP status</td><td>{error.status}</td></tr>
<tr><td>What to do</td><td>{_text(error.next_step)}</td></tr>
<tr><td>Again</td><td>{again}</td></tr><tr><td>Answered by</td><td>{where}</td></tr></table></article>"""


def _contents(document: Schema, groups: dict[str, list[tuple[str, str, Schema]]]) -> str:
    parts = [f"<nav><b>{escape(document['info']['title'])}</b>"]
    for name, operations in groups.items():
        parts += [f"<h2>{escape(name)}</h2><ul>"]
        parts += [_entry(method, operation) for method, _, operation in operations]
        parts += ["</ul>"]
    parts += [
        "<h2>more</h2><ul><li><a href='#schemas'>Schemas</a></li><li><a href='docs/errors'>Errors</a></li>"
    ]
    return "\n".join([*parts, "<li><a href='openapi.json'>openapi.json</a></li></ul></nav>"])


def _entry(method: str, operation: Schema) -> str:
    summary = escape(operation["summary"])
    return f"<li><a href='#{escape(operation['operationId'])}'>{_method(method)}{summary}</a></li>"


def _introduction(document: Schema) -> str:
    info = document["info"]
    problem = document["components"]["examples"]["request.invalid"]["value"]
    return f"""<h1>{escape(info["title"])} API {escape(info["version"])}</h1>
<p class='muted'>{escape(info["summary"])}</p>
<p>JSON in UTF-8 in both directions. Unknown fields and parameters are refused, so that no wish is dropped
silently. Instants are RFC 3339 in UTC. Every answer has an <code>X-Request-Id</code>, and
with a key <code>RateLimit</code> and <code>RateLimit-Policy</code>. The same for programs:
<a href='openapi.json'>OpenAPI 3.1</a>.</p>
<p>Every failure, whatever its status, is one problem document, such as this one; <a href='docs/errors'>all of
them</a>.</p>{_pre(problem)}"""


def _group(tag: Schema, operations: list[tuple[str, str, Schema]], document: Schema, origin: str) -> str:
    parts = [f"<h2 id='{escape(tag['name'])}'>{escape(tag['name'])}</h2><p>{escape(tag['description'])}</p>"]
    parts += [_operation(method, path, operation, document, origin) for method, path, operation in operations]
    return "\n".join(parts)


def _operation(method: str, path: str, operation: Schema, document: Schema, origin: str) -> str:
    schemas = document["components"]["schemas"]
    summary, description = escape(operation["summary"]), _text(operation.get("description", ""))
    parts = [
        f"<article id='{escape(operation['operationId'])}'>",
        f"<h3>{_method(method)}<code>{escape(path)}</code></h3>",
        f"<p><b>{summary}.</b> {description}</p>",
        _curl(method, path, operation, document, origin),
    ]
    for place, heading in (("path", "In the path"), ("query", "Query")):
        given = [entry for entry in operation.get("parameters", ()) if entry["in"] == place]
        if given:
            parts.append(f"<h4>{heading}</h4>{_parameters(given)}")
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        optional = (
            "" if operation["requestBody"]["required"] else " <span class='muted'>(may be left out)</span>"
        )
        parts.append(f"<h4>Body{optional}</h4>{_fields(_resolved(schema, schemas))}")
    parts.append("<h4>Answers</h4>")
    parts += [_answer(status, response, document) for status, response in operation["responses"].items()]
    return "\n".join([*parts, "</article>"])


def _curl(method: str, path: str, operation: Schema, document: Schema, origin: str) -> str:
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
    words = ["curl -s", *([f"-X {method.upper()}"] if method not in {"get", "post"} else []), f"{origin}{path}"]
    if operation.get("security", document.get("security")):
        words.append('-H "Authorization: Bearer $PUBLISHER_API_KEY"')
    if "requestBody" in operation:
        body = json.dumps(
            operation["requestBody"]["content"]["application/json"]["example"], ensure_ascii=False, indent=2
        )
        words += ["-H 'Content-Type: application/json'", "-d '" + body.replace("'", "'\\''") + "'"]
    elif method == "post":
        words[0] += " -X POST"
    return f"<div class='shell'><pre><code>{escape(' '.join(words))}</code></pre><button>Copy</button></div>"


def _answer(status: str, response: Schema, document: Schema) -> str:
    schemas = document["components"]["schemas"]
    headers = [name for name in response.get("headers", ()) if name not in _EVERYWHERE]
    if int(status) >= 400:
        codes = response["content"]["application/problem+json"]["examples"]
        told = ", ".join(
            f"<a href='docs/errors#{escape(code)}'><code>{escape(code)}</code></a> "
            f"{escape(document['components']['examples'][code]['summary'])}"
            for code in codes
        )
        return f"<p><code>{status}</code> {told}</p>"
    parts = [f"<p><code>{status}</code> {_text(response['description'])}"]
    if headers:
        parts.append(f" · headers {', '.join(f'<code>{escape(name)}</code>' for name in headers)}")
    content = response.get("content", {}).get("application/json", {})
    if "schema" in content:
        name = _name(content["schema"])
        parts.append(f" · <a href='#schema-{name}'>{name}</a></p>")
        parts.append(f"<details><summary>Example</summary>{_pre(content['example'])}</details>")
        parts.append(
            f"<details><summary>Fields</summary>{_fields(_resolved(content['schema'], schemas))}</details>"
        )
    return "".join(parts)


def _schemas(schemas: dict[str, Schema]) -> str:
    parts = ["<h2 id='schemas'>Schemas</h2>"]
    for name, schema in schemas.items():
        if "properties" in schema:
            about = _text(schema.get("description", ""))
            parts.append(
                f"<article id='schema-{name}'><h3>{name}</h3><p>{about}</p>{_fields(schema)}</article>"
            )
        else:
            values = " | ".join(
                f"<code>{escape(str(value))}</code>" for value in schema.get("enum", ["any JSON"])
            )
            parts.append(f"<article id='schema-{name}'><h3>{name}</h3><p>{values}</p></article>")
    return "\n".join(parts)


def _parameters(given: list[Schema]) -> str:
    properties = {entry["name"]: {**entry["schema"], "description": entry["description"]} for entry in given}
    required = [entry["name"] for entry in given if entry["required"]]
    return _fields({"properties": properties, "required": required})


def _fields(schema: Schema) -> str:
    required = set(schema.get("required", ()))
    mark = " <span class='required'>required</span>"
    rows = [
        f"<tr><td><code>{escape(name)}</code>{mark if name in required else ''}"
        f"<br><span class='muted'>{_type(field)}</span></td><td>{_text(field.get('description', ''))}</td></tr>"
        for name, field in schema.get("properties", {}).items()
    ]
    return f"<table>{''.join(rows)}</table>" if rows else "<p class='muted'>Any JSON.</p>"


def _type(field: Schema) -> str:
    match field:
        case {"$ref": _}:
            return f"<a href='#schema-{_name(field)}'>{_name(field)}</a>"
        case {"anyOf": choices}:
            return " | ".join(_type(choice) for choice in choices)
        case {"enum": values}:
            return " | ".join(escape(str(value)) for value in values)
        case {"const": value}:
            return escape(json.dumps(value))
        case {"type": "array"}:
            return f"list of {_type(field.get('items', {}))}{_limits(field)}"
        case _:
            return escape(str(field.get("format", field.get("type", "any")))) + _limits(field)


def _limits(field: Schema) -> str:
    words = {
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minItems": "at least {}",
        "maxItems": "at most {}",
        "minimum": "from {}",
        "maximum": "to {}",
        "pattern": "{}",
    }
    told = {name: str(field[name]) for name in words if name in field}
    limits = [words[name].format(escape(value)) for name, value in told.items() if len(value) <= _MAX_LIMIT]
    return f", {', '.join(limits)}" if limits else ""


def _resolved(schema: Schema, schemas: dict[str, Schema]) -> Schema:
    return schemas[_name(schema)]


def _name(schema: Schema) -> str:
    return escape(schema["$ref"].rsplit("/", 1)[1])


def _method(method: str) -> str:
    return f"<span class='method {method}'>{method.upper()}</span>"


def _pre(value: Any) -> str:
    return f"<pre><code>{escape(json.dumps(value, ensure_ascii=False, indent=2))}</code></pre>"


def _text(text: str) -> str:
    """Plain text, with backticks as code elements."""
    pieces = escape(text).split("`")
    return "".join(piece if index % 2 == 0 else f"<code>{piece}</code>" for index, piece in enumerate(pieces))
