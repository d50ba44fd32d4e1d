"""The flags that verbs share, as groups: a verb takes a whole group as one parameter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from synthesizeme.cli._config_file import apply_config_file
from synthesizeme.cli._json_output import reserve

MODEL_PANEL = "Model"
CACHE_PANEL = "Cache"
OTHER_PANEL = "Other"


def _remember_debug(context: typer.Context, value: bool) -> bool:
    if value:
        context.find_root().meta["synthesizeme.debug"] = True
        if isinstance(context.obj, dict):
            context.obj["debug"] = True
    return value


def _remember_cache(context: typer.Context, value: bool) -> bool:
    if isinstance(context.obj, dict):
        context.obj["calls_kept"] = not value
    return value


def _reserve_output(value: bool) -> bool:
    if value:
        reserve()
    return value


def folder(text: str | Path) -> Path:
    """A folder's name, which is not blank."""
    if not str(text).strip():
        raise typer.BadParameter("is empty; expected the name of a folder")
    return Path(text)


def new_file(text: str | Path) -> Path:
    """The name of a file to write, which is not blank and no folder."""
    if not str(text).strip():
        raise typer.BadParameter("is empty; expected the name of a file")
    if Path(text).is_dir():
        raise typer.BadParameter(f"{text} is a folder; expected the name of a file")
    return Path(text)


@dataclass(frozen=True)
class CommonOptions:
    """Flags of every verb."""

    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            help="TOML file whose keys are the flags; flags given here win.",
            metavar="FILE.toml",
            is_eager=True,
            callback=apply_config_file,
            rich_help_panel=OTHER_PANEL,
        ),
    ] = None
    debug: Annotated[
        bool,
        typer.Option(
            "--debug",
            help="Show the traceback of an error.",
            is_eager=True,
            callback=_remember_debug,
            rich_help_panel=OTHER_PANEL,
        ),
    ] = False

    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON object on standard output and nothing else there.",
            callback=_reserve_output,
            rich_help_panel=OTHER_PANEL,
        ),
    ] = False


@dataclass(frozen=True)
class ModelOptions:
    """Flags of every verb that asks a model."""

    model: Annotated[
        str,
        typer.Option(
            "--model",
            help="builtin (an embedded rule-based reader, not a language model: no download, no key), "
            "openai/…, anthropic/…, gemini/… and other providers, hf:PATH_OR_NAME for a transformers model "
            "in this process, or the name that the server at --api-base knows.",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = "builtin"
    api_base: Annotated[
        str | None,
        typer.Option(
            "--api-base",
            help="OpenAI-compatible server: vLLM, SGLang, llama.cpp, Ollama, transformers serve.",
            metavar="URL",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = None
    api_key_env: Annotated[
        str | None,
        typer.Option(
            "--api-key-env",
            help="Environment variable that holds the key, if not the provider's own.",
            metavar="NAME",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = None
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            help="Sampling temperature, sent exactly as given; by default 0, with --effort high 0.7.",
            min=0,
            max=2,
            metavar="T",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = None
    max_tokens: Annotated[
        int,
        typer.Option(
            "--max-tokens", help="Most tokens of one reply.", min=1, metavar="N", rich_help_panel=MODEL_PANEL
        ),
    ] = 1024
    structure: Annotated[
        Literal["auto", "json", "words", "continue"],
        typer.Option(
            "--structure",
            help="How a judge's replies are held to their form: words (by the prompt alone), json (by a "
            "schema that the endpoint enforces), continue (the model's own turn is begun and its next word "
            "read), auto (in words, and in another way where that cannot be read; learned once for each "
            "endpoint).",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = "auto"
    extra_body: Annotated[
        list[str] | None,
        typer.Option(
            "--extra-body",
            help="Further field of every request to an endpoint, in JSON: top_k=1, "
            'chat_template_kwargs={"enable_thinking": false}. May be repeated.',
            metavar="KEY=VALUE",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = None
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            help="Further header of every request to the server at --api-base; $NAME in it is read from the "
            "environment. May be repeated.",
            metavar="NAME=VALUE",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = None
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", help="Seconds one attempt may take.", metavar="S", rich_help_panel=MODEL_PANEL
        ),
    ] = 60.0
    retries: Annotated[
        int,
        typer.Option(
            "--retries",
            help="Further attempts after a transient fault, with back-off.",
            min=0,
            metavar="N",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = 5
    concurrency: Annotated[
        int,
        typer.Option(
            "--concurrency",
            help="Most calls in flight; the results do not depend on it.",
            min=1,
            metavar="N",
            rich_help_panel=MODEL_PANEL,
        ),
    ] = 8
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            "--cache-dir",
            help="Folder of finished calls; by default $SYNTHESIZEME_CACHE_DIR or the user's cache folder.",
            metavar="DIR",
            rich_help_panel=CACHE_PANEL,
        ),
    ] = None
    no_cache: Annotated[
        bool,
        typer.Option(
            "--no-cache",
            help="Neither read nor keep finished calls.",
            callback=_remember_cache,
            rich_help_panel=CACHE_PANEL,
        ),
    ] = False


Seed = Annotated[int, typer.Option("--seed", help="Seed of every random choice.", metavar="N")]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Replace what is at --out, even if it is no earlier result of this command."
    ),
]
SkipBadRows = Annotated[
    bool, typer.Option("--skip-bad-rows", help="Leave malformed rows out; they are counted and listed.")
]
Engine = Annotated[
    Literal["local", "ray"],
    typer.Option(
        "--engine",
        help="Where texts are encoded and users are fitted: in this process, or on the Ray cluster of "
        "$RAY_ADDRESS or one started here (extra `ray`), with the same result.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        help="Processes of --engine ray; by default one for each core of the cluster.",
        metavar="N",
    ),
]
JudgePrompt = Annotated[
    str,
    typer.Option("--judge-prompt", help="Judge prompt: a name of `synthesizeme prompts list`, or a file."),
]
Theta = Annotated[
    str, typer.Option("--theta", help="Prompt that writes the persona (Theta): a name, or a file.")
]
BENCHMARKS = (
    "sample, llmfao/seen-prompts, llmfao/unseen-prompts, polis/later-pairs, polis/new-statements, "
    "remesh/later-pairs, remesh/random-split, remesh/new-answers, personal-reward-bench/chatbot-arena, "
    "personal-reward-bench/prism"
)
"""Names for the help of --benchmark."""
Benchmarked = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Pairs with splits instead of a benchmark: a file or folder in any format that `synthesizeme "
        "data convert` knows.",
        metavar="PAIRS",
    ),
]
"""``--data`` of the verbs that measure."""
NoAnswers = Annotated[
    int,
    typer.Option(
        "--no-answers",
        help="Show reward models texts that are no answers (echoes, shuffled words, junk, …) beside the "
        "chosen answers of so many test pairs of the first fold, at most: the column 'no answer beats "
        "chosen'. 0 leaves it out.",
        min=0,
        metavar="N",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Folder to look for data sets in, before $SYNTHESIZEME_DATA_DIR and the hub.",
        metavar="DIR",
    ),
]
