"""``evaluate``: any scorer on any benchmark, as a JSON report and a Markdown table."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from synthesizeme.cli._groups import spread
from synthesizeme.cli._options import CommonOptions, DataDir, JudgePrompt, ModelOptions, Seed, Theta
from synthesizeme.cli._text import count, printable, say


@spread
def evaluate(
    benchmark: Annotated[
        str,
        typer.Option(
            "--benchmark",
            help="sample, llmfao/seen-prompts, llmfao/unseen-prompts, polis/later-pairs, "
            "personal-reward-bench/arena or /prism, or a .jsonl file of pairs with splits.",
            metavar="NAME|PAIRS.jsonl",
        ),
    ],
    model: ModelOptions,
    common: CommonOptions,
    scorer: Annotated[
        list[str] | None,
        typer.Option(
            "--scorer",
            help="default, memory, persona, demonstrations, both (judges that ask a model); longer, random, "
            "oracle, majority, gpt4, gpt3 (what they are held against). Several with commas or by "
            "repeating the flag; default,both,longer if none is given.",
            metavar="NAME",
        ),
    ] = None,
    data_dir: DataDir = None,
    profiles: Annotated[
        Path | None,
        typer.Option(
            "--profiles",
            help="Folder that induce-persona wrote; without it profiles are induced from the history.",
            metavar="DIR",
        ),
    ] = None,
    max_users: Annotated[
        int | None, typer.Option("--max-users", help="Take only the first N users.", min=1, metavar="N")
    ] = None,
    controls: Annotated[
        bool,
        typer.Option(
            "--controls", help="Also run each judge with another user's profile and with swapped labels."
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for results.json and results.md.", metavar="DIR")
    ] = None,
    effort: Annotated[
        Literal["low", "medium", "high"], typer.Option("--effort", help="Calls to spend on a profile.")
    ] = "medium",
    search: Annotated[
        Literal["economical", "paper"], typer.Option("--search", help="How profiles are induced.")
    ] = "economical",
    seed: Seed = 0,
    judge_prompt: JudgePrompt = "judge/default",
    theta: Theta = "persona/default",
) -> None:
    """Measure scorers on a benchmark: accuracy with intervals over users, ties, failures, gains.

    Data is looked for in --data-dir, then in $SYNTHESIZEME_DATA_DIR, then on the hub.
    """
    from synthesizeme.cli._progress import ProgressDisplay
    from synthesizeme.cli._session import check_model, open_session
    from synthesizeme.errors import ConfigError
    from synthesizeme.evaluation.benchmarks import load_benchmark
    from synthesizeme.personas.scorers import JUDGES, Scorers, check_scorers, limit_users
    from synthesizeme.personas.store import ProfileDirectory
    from synthesizeme.personas.workflow import InductionSettings

    names = [
        name.strip() for item in scorer or ["default,both,longer"] for name in item.split(",") if name.strip()
    ]
    check_scorers(names)
    if controls and profiles is not None:
        raise ConfigError("--controls induces profiles of its own; it cannot be used with --profiles")
    check_model(model)
    settings = InductionSettings(
        effort=effort, search=search, seed=seed, judge_prompt=judge_prompt, theta=theta
    )
    whole = load_benchmark(benchmark, data_dir)
    chosen = limit_users(whole, max_users) if max_users else whole
    with ExitStack() as stack:
        display = stack.enter_context(ProgressDisplay())
        display.label(chosen.name, 1, 1)
        asks = any(name in JUDGES for name in names)
        scorers = Scorers(
            chosen,
            settings,
            session=stack.enter_context(open_session(model, display)) if asks else None,
            profiles=ProfileDirectory(profiles) if profiles else None,
            everyone=whole.pairs,
            on_label=display.label,
        )
        report = scorers.report(names, controls=controls)
    usage = scorers.induction_usage
    if usage.calls:
        say(f"Profiles induced with {count(usage.distinct_calls, 'call')} ({usage.cached_calls} cached).")
    if out is not None:
        written = ", ".join(printable(str(path)) for path in report.save(out))
        say(f"Written: {written}")
    sys.stdout.write(report.to_json() if common.json else report.to_markdown())
