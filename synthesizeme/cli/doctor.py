"""``doctor``: what is installed, which models would work, where data and the cache are; one model, tried."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from synthesizeme.cli._command import verb
from synthesizeme.cli._model_options import ModelOptions
from synthesizeme.cli._options import DATA_DIR, CommonOptions
from synthesizeme.cli._output import print_json, terminal
from synthesizeme.errors import SynthesizeMeError, install_line
from synthesizeme.plain_text import count, dollars, printable

if TYPE_CHECKING:
    from synthesizeme.backends import Answer, Model


OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT", "LITELLM_LOCAL_MODEL_COST_MAP")
DISTRIBUTION = "synthesizeme-rewards"
_BUNDLES = ("all", "dev")
"""Extras that are other extras together."""
BASE = (
    "dspy", "litellm", "huggingface-hub", "pyarrow", "numpy", "pydantic", "rich", "typer",
    "aiohttp", "wordllama",
)  # fmt: skip


@verb
def doctor(
    context: typer.Context, model: ModelOptions, common: CommonOptions, data_dir: Path | None = DATA_DIR()
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
            _show_tried(tried)
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
    from synthesizeme.discovery import resource

    places = data_places(data_dir)
    named = {name: it for name, it in formats().items() if it.files}
    return {
        "sample": str(resource("data/sample/pairs.jsonl")),
        "places": {str(place): place.is_dir() for place in places},
        "found": {
            name: next((str(path) for place in places if (path := locate(place, it.files))), None)
            for name, it in named.items()
        },
        "hub": {name: next(iter(it.sources), None) for name, it in named.items()},
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
    for heading, rows in _sections(found).items():
        table.add_row(Text(heading, style="bold"), "", "")
        for name, mark, text in rows:
            word, style = (mark, "") if isinstance(mark, str) else marks[mark]
            table.add_row(Text(f"  {printable(name)}"), Text(word, style=style), Text(printable(text)))
    terminal().print(table)


def _sections(found: dict[str, Any]) -> dict[str, list[tuple[str, bool | str | None, str]]]:
    """What is shown under each heading: a name, a mark, and a text."""
    backends, encoders, data, cache = (found[name] for name in ("backends", "encoders", "data", "cache"))
    hosted = {name: it for name, it in backends.items() if name.endswith("/NAME")}
    default = {encoders["default"]: "the default here"}
    fetched = {
        name: f"would be fetched from {source} on the hub" if source else "it is not on the hub"
        for name, source in data["hub"].items()
    }

    def unready(ready: bool | None) -> str:
        others = ((name, it["needs"]) for name, it in hosted.items() if it["ready"] is ready)
        return ", ".join(f"{name} ({needs.partition(' or ')[0]})" for name, needs in others)

    def brought(extra: dict[str, Any]) -> str:
        versions = ", ".join(f"{it} {version or 'missing'}" for it, version in extra["versions"].items())
        return versions + (f"; {extra['cure']}" if extra["cure"] else "")

    return {
        "Installed": [(name, version, "") for name, version in found["versions"].items()],
        "Extras": [(name, it["cure"] is None, brought(it)) for name, it in found["extras"].items()],
        "Models that would work": [
            *(
                (name, it["ready"], "" if it["ready"] else f"needs {it['needs']}")
                for name, it in backends.items()
                if name not in hosted or it["ready"]
            ),
            ("hosted, no key set", False, unready(False)),
            ("hosted, not checked", None, unready(None)),
        ],
        "Encoders of texts": [
            *(
                (name, it["ready"], it["needs"] or default.get(name, ""))
                for name, it in encoders["found"].items()
            ),
            ("licence of static", "", encoders["licence"]),
        ],
        "Data": [
            ("sample", True, data["sample"]),
            *(("looked for in", there, place) for place, there in data["places"].items()),
            *(
                (name, path is not None, path or f"in none of the folders; {fetched[name]}")
                for name, path in data["found"].items()
            ),
        ],
        "Cache of finished calls": [
            ("writable", cache["writable"], f"{cache['folder']} ({cache['bytes']:,} bytes)")
        ],
        "Environment": [(name, "set" if it else "-", it or "") for name, it in found["environment"].items()],
    }


PROMPT = "How long do I boil an egg?"
FIRST = "Seven minutes for a soft yolk, ten for a hard one. Start counting when the water boils."
SECOND = (
    "What a wonderful question! There are so many ways to think about eggs, and it really depends on a great "
    "many things that we might want to consider together first."
)
NOT_KNOWN = "not known"
"""What is said of what no reply told."""
_SHOWN = 200


def asks_for_a_model(context: typer.Context) -> bool:
    """Whether a model was named on the command line; a config file names the one of other verbs."""
    sources = [context.get_parameter_source(name) for name in ("model", "api_base")]
    return any(source is not None and source.name not in ("DEFAULT", "DEFAULT_MAP") for source in sources)


def tried_model(options: ModelOptions) -> dict[str, Any]:
    """What one comparison found out: plain values.

    Raises:
        ConfigError: a flag has an impossible value.
        CredentialError: the key is missing.
        BackendError: the model cannot be loaded.
    """
    from synthesizeme.backends import Answer, RetryPolicy, Session
    from synthesizeme.cli._model_options import model_of
    from synthesizeme.errors import BackendError
    from synthesizeme.judges import LLMJudge, verdict_or_failure
    from synthesizeme.types import Comparison, Failure, Message

    model = model_of(options)
    prompt = (Message(role="user", content=PROMPT),)
    comparison = Comparison(pair_id="doctor", user_id="doctor", prompt=prompt, first=FIRST, second=SECOND)
    with Session(model, retry=RetryPolicy(retries=min(1, options.retries))) as session:
        ledger = session.ledger()
        question = LLMJudge(ledger).question(comparison)
        assert question is not None
        started = time.perf_counter()
        outcome: Answer | Failure
        try:
            (outcome,) = ledger.ask([question])
        except BackendError as error:
            outcome = Failure(kind="transport", detail=str(error))
        seconds = time.perf_counter() - started
        refused = sorted(session.endpoint.refused)
        unusable = "probabilities" in session.endpoint.noted
    found = verdict_or_failure(outcome)
    answer = outcome if isinstance(outcome, Answer) else None
    failed = found if isinstance(found, Failure) else None
    return {
        "model": model.name,
        "kind": model.kind,
        "api_base": model.settings.api_base,
        "verdict": None if isinstance(found, Failure) else found.preference,
        "failure": None if failed is None else f"{failed.kind}: {failed.detail}",
        "read_by": None if failed is not None or answer is None else _way(answer),
        "reply": "" if answer is None else answer.text,
        "token_probabilities": None if answer is None else bool(answer.tokens),
        "unusable_probabilities": None if answer is None else unusable,
        "refuses": refused if refused or answer is not None else None,
        "system_message": False if "system" in refused else None if answer is None else True,
        "usd_per_million_tokens": _price(model),
        "seconds": round(seconds, 3),
        "tokens_per_second": None if answer is None else round(answer.completion_tokens / seconds, 1),
        "context_tokens": _context(model),
    }


def _show_tried(found: dict[str, Any]) -> None:
    from rich.table import Column, Table
    from rich.text import Text

    table = Table.grid(Column(), Column(overflow="fold"), padding=(0, 2))
    for name, text in _told_lines(found).items():
        table.add_row(Text(name), Text(printable(text)))
    terminal().print(table)


def _told_lines(found: dict[str, Any]) -> dict[str, str]:
    """The same in words."""
    at = f" at {found['api_base']}" if found["api_base"] else ""
    not_given = "given, but they are none: not used" if found["unusable_probabilities"] else "not given"
    refuses, price, speed = found["refuses"], found["usd_per_million_tokens"], found["tokens_per_second"]
    context, took = found["context_tokens"], f"{found['seconds']:.1f} s"
    taken = _told(found["system_message"], "taken", "refused; stands in the first user turn")
    prices = NOT_KNOWN if price is None else f"{dollars(price[0])} read, {dollars(price[1])} written"
    return {
        "model": f"{found['model']} ({found['kind']}){at}",
        "verdict": found["verdict"] or f"none: {found['failure']}",
        "read by": found["read_by"] or "no way that was tried",
        "its reply": found["reply"][:_SHOWN] or "none",
        "token probabilities": _told(found["token_probabilities"], "given", not_given),
        "system message": taken,
        "refuses": NOT_KNOWN if refuses is None else ", ".join(refuses) or "nothing that was sent",
        "price of a million tokens": prices,
        "speed": f"{NOT_KNOWN}; it took {took}" if speed is None else f"{took}, {speed:g} tokens a second",
        "context": "not told" if context is None else count(context, "token"),
    }


def _told(found: bool | None, yes: str, no: str) -> str:
    """What was found out, in words."""
    return NOT_KNOWN if found is None else yes if found else no


def _way(answer: Answer) -> str:
    if answer.mended:
        return "its own turn, continued" if answer.constrained else "one more question about its reply"
    if not answer.constrained:
        return "its words"
    return "a JSON schema" if answer.text.lstrip().startswith("{") else "its own turn, begun for it"


def _price(model: Model) -> tuple[float, float] | None:
    """US dollars for a million tokens read and written; None where they are not known."""
    from synthesizeme.backends import token_price

    price = token_price(model.name, api_base=model.settings.api_base)
    return None if price is None else (price(1_000_000, 0), price(0, 1_000_000))


def _context(model: Model) -> int | None:
    told = getattr(model.lm.engine, "context", None)
    return None if told is None else told(model.lm.model)
