"""``doctor``: what is installed, which models would work, where data and the cache are; one model, tried."""

from __future__ import annotations

import os
from typing import Any

import typer

from synthesizeme.cli._doctor_model import asks_for_a_model, show_tried, tried_model
from synthesizeme.cli._groups import spread
from synthesizeme.cli._options import CommonOptions, DataDir, ModelOptions
from synthesizeme.cli._text import print_json, terminal
from synthesizeme.errors import SynthesizeMeError, install_line
from synthesizeme.plain_text import printable

OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT", "LITELLM_LOCAL_MODEL_COST_MAP")
DISTRIBUTION = "synthesizeme-rewards"
_BUNDLES = ("all", "dev")
"""Extras that are other extras together."""
BASE = (
    "dspy", "litellm", "huggingface-hub", "pyarrow", "numpy", "pydantic", "rich", "typer",
    "aiohttp", "wordllama",
)  # fmt: skip


@spread
def doctor(
    context: typer.Context, model: ModelOptions, common: CommonOptions, data_dir: DataDir = None
) -> None:
    """Say what is installed, which models would work, where data is looked for; nothing is sent.

    With --model one comparison is put to that model, and what was found out about it is told: how its
    verdicts can be read, what it refuses, how fast it is. The cache is left alone.
    """
    if asks_for_a_model(context):
        tried = tried_model(model)
        if common.json:
            print_json(tried)
        else:
            show_tried(tried)
        if tried["failure"] is not None:
            raise SynthesizeMeError(f"{model.model} gave no verdict: {tried['failure']}")
        return
    found = {
        "versions": _versions(),
        "extras": _extras(),
        "backends": _backends(),
        "encoders": _encoders(),
        "data": _data(data_dir),
        "cache": _cache(),
        "environment": {name: os.environ.get(name) for name in OFFLINE_VARIABLES},
    }
    if common.json:
        print_json(found)
    else:
        _show(found)


def _versions() -> dict[str, str]:
    import platform

    from synthesizeme.version import __version__

    versions = {"synthesizeme": __version__, "python": platform.python_version(), "system": platform.system()}
    return versions | {name: _version(name) or "missing" for name in BASE}


def _version(distribution: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _extras() -> dict[str, dict[str, Any]]:
    """Every extra that the distribution declares, with what it brings and how to install it."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        names = metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    except PackageNotFoundError:
        names = []
    found = {}
    for extra in names:
        if extra not in _BUNDLES:
            versions = {name: _version(name) for name in _brought(DISTRIBUTION, extra)}
            found[extra] = {
                "versions": versions,
                "cure": None if all(versions.values()) else install_line(extra),
            }
    return found


def _brought(distribution: str, extra: str) -> list[str]:
    """Distributions that an extra of another brings, those of extras of its own requirements among them."""
    from importlib.metadata import PackageNotFoundError, requires

    from packaging.requirements import Requirement

    try:
        lines = requires(distribution) or []
    except PackageNotFoundError:
        return []
    names: list[str] = []
    for wanted in map(Requirement, lines):
        marker = wanted.marker
        if marker is None or marker.evaluate({"extra": ""}) or not marker.evaluate({"extra": extra}):
            continue
        names.append(wanted.name)
        for further in wanted.extras:
            names += _brought(wanted.name, further)
    return list(dict.fromkeys(names))


def _backends() -> dict[str, dict[str, Any]]:
    from synthesizeme.backends import hosted

    torch = all(_version(name) for name in ("torch", "transformers"))
    found: dict[str, dict[str, Any]] = {
        "builtin": {"ready": True, "needs": "nothing"},
        "hf:PATH_OR_NAME": {"ready": torch, "needs": install_line("hf")},
        "any name with --api-base": {"ready": True, "needs": "a server at that address (not asked)"},
    }
    for provider, variables in hosted.KEY_VARIABLES.items():
        ready = any(os.environ.get(name) for name in variables) if variables else None
        needs = " or ".join(variables) or "the cloud's own credentials"
        found[f"{provider}/NAME"] = {"ready": ready, "needs": needs}
    return found


def _encoders() -> dict[str, Any]:
    from reward_models import STATIC_LICENCE, encoders_here

    here = encoders_here()
    return {
        "found": {name: {"ready": ready, "needs": needs} for name, (ready, needs) in here.items()},
        "default": next((name for name, (ready, _) in here.items() if ready), None),
        "licence": STATIC_LICENCE,
    }


def _data(data_dir: Any) -> dict[str, Any]:
    from synthesizeme.datasets import data_places, formats, locate
    from synthesizeme.resources import resource

    places = data_places(data_dir)
    named = {name: module for name, module in formats().items() if module.FILES}
    return {
        "sample": str(resource("data/sample/pairs.jsonl")),
        "places": {str(place): place.is_dir() for place in places},
        "found": {
            name: next((str(path) for place in places if (path := locate(place, module.FILES))), None)
            for name, module in named.items()
        },
        "hub": {name: next(iter(module.SOURCES), None) for name, module in named.items()},
    }


def _cache() -> dict[str, Any]:
    from synthesizeme.backends import default_cache_dir

    folder = default_cache_dir()
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    file = folder / "calls.sqlite"
    return {
        "folder": str(folder),
        "writable": place.is_dir() and os.access(place, os.W_OK | os.X_OK),
        "bytes": file.stat().st_size if file.is_file() else 0,
    }


def _show(found: dict[str, Any]) -> None:
    from rich.table import Column, Table
    from rich.text import Text

    table = Table.grid(Column(overflow="fold"), Column(), Column(overflow="fold"), padding=(0, 2))
    marks = {True: ("yes", "green"), False: ("no", "red"), None: ("?", "yellow")}

    def heading(text: str) -> None:
        table.add_row(Text(text, style="bold"), "", "")

    def line(name: str, mark: bool | str | None, text: str) -> None:
        word, style = (mark, "") if isinstance(mark, str) else marks[mark]
        table.add_row(Text(f"  {printable(name)}"), Text(word, style=style), Text(printable(text)))

    heading("Installed")
    for name, version in found["versions"].items():
        line(name, version, "")
    heading("Extras")
    for name, extra in found["extras"].items():
        versions = ", ".join(f"{it} {version or 'missing'}" for it, version in extra["versions"].items())
        line(name, extra["cure"] is None, versions + (f"; {extra['cure']}" if extra["cure"] else ""))
    heading("Models that would work")
    hosted = {name: it for name, it in found["backends"].items() if name.endswith("/NAME")}
    for name, backend in found["backends"].items():
        if name not in hosted or backend["ready"]:
            line(name, backend["ready"], "" if backend["ready"] else f"needs {backend['needs']}")
    for ready, title in ((False, "hosted, no key set"), (None, "hosted, not checked")):
        others = [
            f"{name} ({it['needs'].partition(' or ')[0]})"
            for name, it in hosted.items()
            if it["ready"] is ready
        ]
        line(title, ready, ", ".join(others))
    heading("Encoders of texts")
    for name, encoder in found["encoders"]["found"].items():
        default = "the default here" if name == found["encoders"]["default"] else ""
        line(name, encoder["ready"], encoder["needs"] or default)
    line("licence of static", "", found["encoders"]["licence"])
    heading("Data")
    line("sample", True, found["data"]["sample"])
    for place, there in found["data"]["places"].items():
        line("looked for in", there, place)
    for name, path in found["data"]["found"].items():
        source = found["data"]["hub"][name]
        then = f"would be fetched from {source} on the hub" if source else "it is not on the hub"
        line(name, path is not None, path or f"in none of the folders; {then}")
    heading("Cache of finished calls")
    line(
        "writable",
        found["cache"]["writable"],
        f"{found['cache']['folder']} ({found['cache']['bytes']:,} bytes)",
    )
    heading("Environment")
    for name, value in found["environment"].items():
        line(name, "set" if value else "-", value or "")
    terminal().print(table)
