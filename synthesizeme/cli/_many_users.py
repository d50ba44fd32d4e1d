"""``induce-persona --store``: pairs into a store, and profiles of its users out of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from synthesizeme.cli._command import option
from synthesizeme.cli._html import HtmlOptions
from synthesizeme.cli._model_options import ModelOptions, session_settings
from synthesizeme.cli._options import FORCE, SKIP_BAD_ROWS, folder
from synthesizeme.cli._output import check_writable, print_json, write_profile
from synthesizeme.cli._pairs import ABOUT, COLUMNS, say_left_out, say_recognised
from synthesizeme.errors import ConfigError, SynthesizeMeError
from synthesizeme.plain_text import count, dollars, printable
from synthesizeme.progress import replies

if TYPE_CHECKING:
    from synthesizeme.backends import Caps
    from synthesizeme.datasets import ReadReport
    from synthesizeme.induction import InductionJob, InductionSettings, RunSummary, UserDone
    from synthesizeme.profiles import ProfileStore
    from synthesizeme.profiles.views import Taken
    from synthesizeme.progress import Progress, ProgressDisplay
    from synthesizeme.types import PreferencePair


MANY_PANEL = "Many users"


@dataclass(frozen=True)
class RunOptions:
    """What to do with the users of the file."""

    user: str | None = option(None, "Induce this user.", "ID")
    all_users: bool = option(False, "Induce every user of the file.")
    out: Path | None = option(
        None,
        "Folder for the files, one folder in it per user; by default out, or none with --store.",
        "DIR",
        parser=folder,
    )
    budget_calls: int | None = option(
        None,
        "Most distinct calls of this run, shared evenly by its users; follow-ups on replies that "
        "cannot be read are not counted. Of a user's share the evaluation is set aside first, unless "
        "the induction could then not judge every train pair. With --store: most calls sent, whoever "
        "needs them; who gets none is left for another run.",
        "N",
        min=1,
    )
    dry_run: bool = option(False, "Print the calls, tokens and cost it would need; send nothing.")
    baselines: bool = option(False, "Also measure a memory judge and a demographics judge.")
    no_evaluate: bool = option(False, "Do not measure on test pairs.")
    neighbours: Path | None = option(
        None,
        "With --effort high: profiles of other users that an earlier run wrote. Judgements under the "
        "personas of the two nearest are averaged with the user's own, unless that loses on validation "
        "pairs; the profile then holds these personas.",
        "DIR",
        parser=folder,
    )
    about: Path | None = ABOUT()
    columns: list[str] | None = COLUMNS()
    skip_bad_rows: bool = SKIP_BAD_ROWS()
    force: bool = FORCE()

    @property
    def folder(self) -> Path:
        """Where the files go that are written in any case."""
        return self.out or Path("out")


@dataclass(frozen=True)
class ManyUsersOptions:
    """Very many users: where they are kept, which of them, and what they may cost."""

    store: str | None = option(
        None,
        "Keep pairs and profiles in this store, for very many users: a path or sqlite:///PATH, or "
        "postgresql://USER@HOST:PORT/DATABASE (extra `store`). Finished users are skipped.",
        "URL|PATH",
    )
    key_file: Path | None = option(None, "Key of an encrypted store.", "FILE", panel=MANY_PANEL)
    shard: str | None = option(
        None,
        "Only the users whose id hashes to I modulo N, I from 0: N processes share a store.",
        "I/N",
        panel=MANY_PANEL,
    )
    min_new_pairs: int = option(
        1, "Update a finished user when so many pairs have come since.", "N", panel=MANY_PANEL, min=1
    )
    engine: Literal["local", "ray"] = option(
        "local",
        "Where users are induced: in this process, or on the Ray cluster of $RAY_ADDRESS or one "
        "started here (extra `ray`), with the same profiles.",
        panel=MANY_PANEL,
    )
    workers: int | None = option(
        None,
        "Processes of --engine ray; by default one for each core of the cluster.",
        "N",
        panel=MANY_PANEL,
        min=1,
    )
    budget_tokens: int | None = option(
        None,
        "Most tokens of this run, sent and received; calls from the cache are free.",
        "N",
        panel=MANY_PANEL,
        min=1,
    )
    budget_cost: float | None = option(
        None,
        "Most US dollars of this run by the price list; calls from the cache are free.",
        "USD",
        panel=MANY_PANEL,
    )

    def caps(self, calls: int | None = None) -> Caps:
        """What the calls may take.

        Raises:
            ConfigError: a budget is no amount.
        """
        from synthesizeme.backends import Caps

        return Caps(calls, self.budget_tokens, self.budget_cost)


def refuse_for_store(run: RunOptions, evidence: bool, many: ManyUsersOptions, page: HtmlOptions) -> None:
    """Refuse flags that do not go together with ``--store``.

    Raises:
        ConfigError: some do not; all of them are listed.
    """
    problems = []
    if (run.user is None) != run.all_users:
        problems.append("--store needs either --all-users or --user ID")
    if evidence:
        problems.append("--evidence fits a model to all pairs of a file at once; it does not go with --store")
    if run.about is not None:
        problems.append(
            "--about: a store keeps words with its users; put them there with "
            "`synthesizeme profiles import --about FILE` and leave --about out"
        )
    if run.neighbours is not None:
        problems.append(
            "--neighbours keeps personas of others in a profile, where `synthesizeme profiles delete` would "
            "not find them; it does not go with --store"
        )
    if page.wanted:
        problems.append(
            "--html shows the users of a file; of a store `synthesizeme profiles show` shows each user"
        )
    if many.engine == "ray" and run.out is not None:
        problems.append("--engine ray writes into the store alone; leave out --out")
    if many.engine == "local" and many.workers is not None:
        problems.append("--workers is for --engine ray")
    if problems:
        raise ConfigError(problems)


def refuse_without_store(many: ManyUsersOptions) -> None:
    """Refuse flags that need ``--store``.

    Raises:
        ConfigError: some are given without it; all of them are listed.
    """
    if many.store is not None:
        return
    given = {
        "--key-file": many.key_file is not None,
        "--shard": many.shard is not None,
        "--min-new-pairs": many.min_new_pairs != 1,
        "--engine ray": many.engine == "ray",
        "--workers": many.workers is not None,
    }
    if problems := [f"{flag} needs --store, the store to work on" for flag, there in given.items() if there]:
        raise ConfigError(problems)


NAMED = 5
"""Users that are named of each kind."""


def _job(
    run: RunOptions, many: ManyUsersOptions, settings: InductionSettings, model: ModelOptions
) -> InductionJob:
    """The same for the library."""
    from synthesizeme.induction import InductionJob, Shard

    assert many.store is not None
    return InductionJob(
        store=many.store,
        key_file=many.key_file,
        **vars(session_settings(model, many.caps(run.budget_calls))),
        settings=settings,
        shard=Shard() if many.shard is None else Shard.parse(many.shard),
        user=run.user,
        min_new_pairs=many.min_new_pairs,
    )


def induce_into_store(
    pairs: Path | None,
    run: RunOptions,
    many: ManyUsersOptions,
    settings: InductionSettings,
    model: ModelOptions,
    *,
    as_json: bool,
) -> None:
    """Take the pairs in, bring the users up to date, and say what became of them.

    Raises:
        SynthesizeMeError: users failed, or were left for another run; the others are stored.
    """
    from synthesizeme.datasets import ReadReport, parse_columns
    from synthesizeme.profiles import open_store
    from synthesizeme.progress import ProgressDisplay

    job = _job(run, many, settings, model)
    report = ReadReport(
        skip_bad_rows=run.skip_bad_rows, user_id=run.user, unique_ids=False,
        columns=parse_columns(run.columns or ()),
    )  # fmt: skip
    if run.out is not None:
        check_writable(run.out)
    with open_store(job.store, key_file=job.key_file, create=pairs is not None) as store:
        taken = _take_in(store, pairs, job, report)
        total = 1 if job.user is not None else -(-store.totals().users // job.shard.count)
    with ProgressDisplay() as lines:
        display = RunDisplay(lines, total)
        summary = _on_ray(job, many, display) if many.engine == "ray" else _here(job, run, display)
    if as_json:
        print_json(
            {"taken": taken.model_dump(), "skipped_rows": len(report.bad), **summary.model_dump(mode="json")}
        )
    else:
        for line in _lines(taken, summary):
            typer.echo(line)
    if problem := _problem(summary):
        raise SynthesizeMeError(problem)


def _take_in(store: ProfileStore, path: Path | None, job: InductionJob, report: ReadReport) -> Taken:
    from synthesizeme.datasets import open_source
    from synthesizeme.profiles.views import Taken, take_pairs

    if path is None:
        return Taken(new=0, unchanged=0)

    source = open_source(str(path), report)
    say_recognised(source.name, source.format)

    def chosen() -> Iterator[PreferencePair]:
        for pair in source.pairs():
            if pair.user_id == job.user if job.user is not None else job.shard.holds(pair.user_id):
                yield pair

    taken = take_pairs(store, chosen())
    say_left_out(report.bad[:NAMED], report.reasons, source.assumed())
    return taken


class RunDisplay:
    """Shows how far a run over users is: told of every call and of every user that is finished."""

    def __init__(self, display: ProgressDisplay, total: int) -> None:
        from synthesizeme.induction import RunSummary

        display.label("users", 1, 1)
        self._display, self._total, self._so_far = display, total, RunSummary()

    def on_call(self, now: Progress) -> None:
        """Show the calls of a user who is not finished."""
        from synthesizeme.induction import RunSummary

        self._show(self._so_far + RunSummary(usage=now.usage))

    def on_users(self, summary: RunSummary) -> None:
        """Show the run so far."""
        self._so_far = summary
        self._show(summary)

    def _show(self, summary: RunSummary) -> None:
        from synthesizeme.progress import Progress

        stage = f"{summary.failed:,} failed, done" if summary.failed else "done"
        self._display(Progress(stage, summary.users, max(self._total, summary.users), summary.usage))


def _here(job: InductionJob, options: RunOptions, display: RunDisplay) -> RunSummary:
    from synthesizeme.induction import run

    def on_user(user: UserDone, summary: RunSummary) -> None:
        display.on_users(summary)
        if options.out is not None and user.profile is not None:
            write_profile(options.out, user.profile, job.settings.judge_prompt, {}, force=options.force)

    return run(job, on_user, display.on_call)


def _on_ray(job: InductionJob, many: ManyUsersOptions, display: RunDisplay) -> RunSummary:
    from reward_models import use_engine
    from synthesizeme.induction.run import run_on_ray

    with use_engine("ray", many.workers) as engine:
        return run_on_ray(job, getattr(engine, "workers", None) or 1, display.on_users)


def _lines(taken: Taken, summary: RunSummary) -> Iterator[str]:
    yield f"{count(taken.new, 'pair')} stored, {taken.unchanged:,} there already."
    users = (
        f"{count(summary.done, 'user')} induced, {summary.unchanged:,} unchanged, {summary.failed:,} failed"
    )
    yield f"{users}, {summary.drifted:,} drifted."
    usage = summary.usage
    tokens = usage.prompt_tokens + usage.completion_tokens
    sent = f"{usage.cached_calls:,} cached, {usage.retries:,} retries"
    sent += f", {count(usage.follow_ups, 'follow-up')}" if usage.follow_ups else ""
    parts = [f"{count(usage.distinct_calls, 'call')} ({sent})", count(tokens, "token")]
    if usage.cost_usd:
        parts.append(dollars(usage.cost_usd))
    yield f"{', '.join([*parts, *replies(usage)])}."
    if summary.unanswered:
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in summary.unanswered.items())
        yield f"Without a usable answer, retries notwithstanding: {kinds}."
    for name, pooled in summary.accuracy.items():
        yield f"  {name}: {100 * pooled.correct / pooled.pairs:.1f} % of {count(pooled.pairs, 'test pair')}"
    if summary.cautioned:
        yield f"{count(summary.cautioned, 'profile')} with a caution; `synthesizeme profiles show` shows it."
    kinds_named = (("failed", summary.failures), ("drifted", summary.drifts), ("caution", summary.cautions))
    for kind, named in kinds_named:
        for user in named[:NAMED]:
            yield f"  {kind}: user {printable(user.user_id, 60)}: {printable(user.why, 200)}"


def _problem(summary: RunSummary) -> str:
    found = []
    if summary.failed:
        found.append(f"{count(summary.failed, 'user')} failed and will be tried again by the next run")
    if summary.stopped:
        found.append(summary.stopped)
    return "; ".join(found)
