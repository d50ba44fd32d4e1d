"""The OpenAPI document as a page to read: no script, nothing from elsewhere, so it opens offline too."""

from __future__ import annotations

import json
from html import escape
from typing import Any

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "h2{font:600 1.1rem ui-monospace,monospace;margin-top:2.5rem;border-top:1px solid #ccc;padding-top:1rem}"
    "pre{background:#f4f4f4;padding:.8rem;overflow-x:auto;font-size:.85rem}"
    "td{padding:.1rem 1rem .1rem 0;vertical-align:top}summary{cursor:pointer}"
)
_PROMPT, _ONE, _OTHER = (
    "How do I undo a commit?",
    "Run git reset --soft HEAD~1.",
    "Oh no, that happens to us all!",
)
_EXAMPLES: dict[str, Any] = {
    "score": {"user_id": "ann", "prompt": _PROMPT, "response": _ONE},
    "compare": {"user_id": "ann", "prompt": _PROMPT, "first": _ONE, "second": _OTHER},
    "get_reward": {"query": [f"{_PROMPT} {_ONE}"], "prompts": [_PROMPT], "labels": ["ann"]},
    "put_words": {"about": "I am a nurse on night shifts.", "wishes": ["Be brief."]},
    "add_pairs": {"pairs": [{"prompt": _PROMPT, "chosen": _ONE, "rejected": _OTHER}]},
}


def page(document: dict[str, Any], address: str) -> str:
    """The document in HTML, with examples that ask the server at this address."""
    info = document["info"]
    operations = [
        _operation(method.upper(), address.rstrip("/") + path, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    title = escape(f"{info['title']} {info['version']}")
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p>{escape(info['description'])}</p>"
        '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"{''.join(operations)}</html>"
    )


def _operation(method: str, address: str, path: str, operation: dict[str, Any]) -> str:
    parts = [f"<h2>{method} {escape(path)}</h2><p>{escape(operation['summary'])}."]
    if "description" in operation:
        parts.append(f" {escape(operation['description'])}")
    parts.append("</p>")
    if (example := _EXAMPLES.get(operation["operationId"])) is not None:
        how = "" if method == "POST" else f"-X {method} "
        asked = f"curl {how}-H 'Content-Type: application/json' -d '{json.dumps(example)}' \\\n"
        words = f"{asked}  {address.replace('{user_id}', 'ann')}"
        parts.append(f"<pre>{escape(words)}</pre>")
    for name, schema in _schemas(operation):
        shown = escape(json.dumps(schema, indent=2))
        parts.append(f"<details><summary>{escape(name)}</summary><pre>{shown}</pre></details>")
    rows = (
        f"<tr><td>{escape(code)}</td><td>{escape(answer['description'])}</td></tr>"
        for code, answer in sorted(operation["responses"].items())
    )
    return "".join(parts) + f"<table>{''.join(rows)}</table>"


def _schemas(operation: dict[str, Any]) -> list[tuple[str, Any]]:
    found = []
    if operation.get("parameters"):
        found.append(("Parameters", operation["parameters"]))
    if "requestBody" in operation:
        found.append(("Body", operation["requestBody"]["content"]["application/json"]["schema"]))
    answer = next(iter(operation["responses"]["200"]["content"].values()))
    found.append(("Answer", answer["schema"]))
    return found
