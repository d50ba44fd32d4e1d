"""``induce-persona``: from a file of pairs to profiles, prompts and personas, and how well they predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from synthesizeme.cli._command import argument, option, verb
from synthesizeme.cli._html import HtmlOptions
from synthesizeme.cli._many_users import (
    ManyUsersOptions,
    RunDisplay,
    RunOptions,
    induce_into_store,
    refuse_for_store,
    refuse_without_store,
)
from synthesizeme.cli._model_options import InductionOptions, ModelOptions
from synthesizeme.cli._options import CommonOptions, folder
from synthesizeme.cli._output import PatientOutput, check_writable, print_json, say, write_profile
from synthesizeme.cli._pairs import KINDS, read, read_about, say_without_pairs
from synthesizeme.cli._tables import (
    accuracy_json,
    estimate_json,
    result_json,
    show_estimate,
    show_pooled,
    show_result,
)
from synthesizeme.errors import ConfigError, SynthesizeMeError
from synthesizeme.plain_text import count, id_list, printable

if TYPE_CHECKING:
    from synthesizeme.backends import Caps, Model
    from synthesizeme.feedback import UserWords
    from synthesizeme.induction import InductionSettings, RunSummary, UserDone, UserResult
    from synthesizeme.induction.evidence import Gathered
    from synthesizeme.personas.beside import Beside
    from synthesizeme.profile import UserProfile
    from synthesizeme.progress import ProgressDisplay
    from synthesizeme.types import PreferencePair

    Users: TypeAlias = Mapping[str, Sequence[PreferencePair]]
    Done: TypeAlias = list[tuple[UserResult, dict[str, Path]]]


@dataclass(frozen=True)
class EvidenceOptions:
    """Whether a reward model tells the persona writer what it learned."""

    evidence: bool = option(
        False,
        "Hold each statement against what is true of most people, and show the persona writer in what the "
        "user differs from them, by a reward model of the user's train and validation pairs; by default "
        "hierarchical-stylometric, fitted to those pairs of all users of the file.",
    )
    reward_model: Path | None = option(
        None,
        "Take the evidence from this checkpoint of `synthesizeme train`; the user's part of it is "
        "fitted anew to the train and validation pairs of the file. Train it without this file's test "
        "pairs, or their accuracy is no longer one on unseen pairs. Implies --evidence.",
        "DIR",
        parser=folder,
    )

    @property
    def wanted(self) -> bool:
        """Whether there is to be any."""
        return self.evidence or self.reward_model is not None

    def gather(self, pairs: Sequence[PreferencePair], users: Users, seed: int) -> Gathered:
        """What the model learned of these users from the pairs of all; nothing unless it is wanted."""
        from synthesizeme.induction.evidence import Gathered, gather

        if not self.wanted:
            return Gathered({})
        return gather(pairs, list(users), checkpoint=self.reward_model, seed=seed)


@verb
def induce_persona(
    run: RunOptions,
    many: ManyUsersOptions,
    induction: InductionOptions,
    evidence: EvidenceOptions,
    model: ModelOptions,
    page: HtmlOptions,
    common: CommonOptions,
    pairs: Path | None = argument(
        None,
        f"Pairs: {KINDS}. Rows that name no user are of --user. With --store it may be left out: the "
        "pairs of the store are taken.",
        "PAIRS",
        show_default=False,
    ),
) -> None:
    """Induce a user's persona from preference pairs and measure it on the user's held-out pairs.

    Writes profile.json, judge_prompt.json, generation_prompt.json and persona.md for each user. Rows
    without a split get a seeded 60/20/20 within the user. The default model, builtin, is a rule-based
    reader, not a language model. Exit status: 0 done, 1 failed, 2 wrong usage.

    Several users are taken at once where the model is waited for. With --store pairs and profiles go into a
    store, a few users are in memory whatever their number, and the same command goes on where it was
    stopped: it skips who is finished, updates who has new pairs, and tries again who failed.
    """
    from synthesizeme.cli._model_options import check_model

    model = induction.asking(model)
    settings = _settings(run, induction)
    if many.store is not None and not run.dry_run:
        refuse_for_store(run, evidence.wanted, many, page)
        check_model(model)
        induce_into_store(pairs, run, many, settings, model, as_json=common.json)
        return
    refuse_without_store(many)
    if pairs is None:
        raise ConfigError("PAIRS is missing: name a file of pairs, or a store that holds some with --store")
    file = read(pairs, columns=run.columns, user_id=run.user, skip_bad_rows=run.skip_bad_rows)
    users = _choose(file.pairs, run, source=pairs)
    words = read_about(run.about, user=next(iter(users)) if len(users) == 1 else None)
    say_without_pairs(words, {pair.user_id for pair in file.pairs})
    check_model(model)
    if run.dry_run:
        _estimate(users, settings, model, run.budget_calls, as_json=common.json)
        return
    _check_places(run, page, users, source=pairs)
    known = evidence.gather(file.pairs, users, induction.seed)
    settings = replace(settings, evidence_model=known.source)
    beside, output = _beside(users, known, words, run), PatientOutput()
    found = _induce(users, settings, beside, model, run, many.caps(), None if common.json else output)
    _write_page(page, users, found, settings)
    if common.json:
        print_json(_whole(found, list(map(str, file.skipped)), run))
    elif run.all_users and found.done:
        output.show(lambda: show_pooled([result for result, _ in found.done]))
    if problem := _problem(found):
        raise SynthesizeMeError(problem)
    if output.gone:
        raise BrokenPipeError


def _write_page(page: HtmlOptions, users: Users, found: _Finished, settings: InductionSettings) -> None:
    """The page of all users that were induced, if one is wanted and there are any."""
    if page.html is None or not found.done:
        return
    failed = [(user.user_id, user.error) for user in found.failed]

    def drawn(mark: str) -> str:
        from synthesizeme.report_pages.personas import persona_page

        results = [result for result, _ in found.done]
        asked = {
            (it.user_id, it.pair_id) for one in results for own in one.outcomes.values() for it in own.pairs
        }
        shown = [pair for own in users.values() for pair in own if (pair.user_id, pair.pair_id) in asked]
        return persona_page(
            results, mark=mark, test=shown if page.html_texts else (), seed=settings.seed, failed=failed
        )

    page.write("induce-persona", users, drawn)


def _settings(run: RunOptions, induction: InductionOptions) -> InductionSettings:
    """How users are induced and measured.

    Raises:
        ConfigError: neighbours are named, and no effort or search tries them.
    """
    from synthesizeme.personas.averaging import MOST_NEIGHBOURS

    settings = induction.settings(evaluate=not run.no_evaluate, baselines=run.baselines)
    if run.neighbours is None:
        return settings
    if induction.effort != "high" or induction.search != "economical":
        raise ConfigError(
            f"--neighbours is tried by the economical search at high effort alone, and this is the "
            f"{induction.search} search at {induction.effort} effort; add --effort high and leave out "
            "--search, or leave out --neighbours"
        )
    return replace(settings, neighbours=MOST_NEIGHBOURS)


def _others(run: RunOptions) -> dict[str, UserProfile]:
    """Profiles among which neighbours are sought."""
    from synthesizeme.profiles import open_profiles

    if run.neighbours is None:
        return {}
    with open_profiles(run.neighbours) as profiles:
        return dict(profiles)


def _beside(
    users: Users, known: Gathered, words: Mapping[str, UserWords], run: RunOptions
) -> dict[str, Beside]:
    """What is known of each user beside the choices, before anything is written."""
    from synthesizeme.personas.beside import Beside

    before, others = _before(run.folder, users), _others(run)
    return {
        it: Beside(known.by_user.get(it, ()), known.population.get(it), words.get(it), before.get(it), others)
        for it in users
    }


def _check_places(run: RunOptions, page: HtmlOptions, users: Users, *, source: Path) -> None:
    """Refuse places that cannot be written, or hold something else, before any work is done."""
    from synthesizeme.profiles.folder import refuse_replacing

    check_writable(run.folder)
    for user, own in () if run.force else users.items():
        refuse_replacing(run.folder, user, [pair.pair_id for pair in own])
    page.check("induce-persona", users, force=run.force, pairs=source, about=run.about)


def _before(out: Path, users: Users) -> dict[str, UserProfile]:
    """The profiles that an earlier run wrote of these users."""
    from synthesizeme.profiles.folder import earlier_profile

    found = {user: earlier_profile(out, user, [pair.pair_id for pair in own]) for user, own in users.items()}
    return {user: profile for user, profile in found.items() if profile is not None}


def _problem(found: _Finished) -> str:
    """What went wrong in all; nothing if nothing did."""
    done, failed, said = found.done, found.failed, []
    if failed and done:
        said.append(f"{len(failed)} of {count(len(failed) + len(done), 'user')} failed; the others are done")
    elif failed:
        said.append("the only user failed" if len(failed) == 1 else f"all {len(failed)} users failed")
    broken = sum(result.evaluation_error is not None for result, _ in done)
    if broken:
        whose = "" if broken == len(done) == 1 else f" of {count(broken, 'user')}"
        said.append(f"the evaluation{whose} failed; what was induced is written")
    return "; ".join([*said, *([found.stopped] if found.stopped else [])])


def _choose(pairs: Sequence[PreferencePair], run: RunOptions, *, source: Path) -> Users:
    """The users to induce, in the order in which they first occur.

    Raises:
        ConfigError: there are several and the flags choose none, or the one asked for is not there.
    """
    from synthesizeme.datasets import by_user

    user = run.user
    if user is not None and run.all_users:
        raise ConfigError("--user and --all-users exclude each other")
    users = by_user(pairs)
    if user is not None:
        if user not in users:
            raise ConfigError(f"{source} has no user {printable(user, 60)!r}. Its users: {id_list(users)}")
        return {user: users[user]}
    if len(users) > 1 and not run.all_users:
        raise ConfigError(
            f"{source} has {len(users)} users; name one with --user ID, or take them --all-users. "
            f"Its users: {id_list(users)}"
        )
    return users


def _estimate(
    users: Users, settings: InductionSettings, model: ModelOptions, budget: int | None, *, as_json: bool
) -> None:
    from synthesizeme.backends import most_follow_ups, token_price
    from synthesizeme.induction.estimate import estimate_users

    found = estimate_users(list(users.values()), settings, budget_calls=budget, max_tokens=model.max_tokens)
    price = token_price(model.model, api_base=model.api_base)
    prices = [(it.induction.cost(price), it.evaluation.cost(price)) for it in found]
    by_user = dict(zip(users, found, strict=True))
    follow_ups = most_follow_ups(model.model, api_base=model.api_base)
    if as_json:
        print_json(estimate_json(by_user, prices, follow_ups))
    else:
        show_estimate(by_user, prices, follow_ups, model.model)


class _Finished:
    """Users of a run as they are finished: each is written and shown, without an output its notes alone."""

    def __init__(
        self,
        run: RunOptions,
        settings: InductionSettings,
        lines: ProgressDisplay,
        output: PatientOutput | None,
    ) -> None:
        self._run, self._settings, self._lines, self._output = run, settings, lines, output
        self.done: Done = []
        self.failed: list[UserDone] = []
        self.stopped: str | None = None

    def add(self, result: UserResult, model: Model) -> None:
        """Take a result."""
        self._lines.clear()
        self.done.append((result, _write(self._run, result, self._settings)))
        _show(*self.done[-1], model, self._output)

    def add_user(self, user: UserDone, model: Model) -> None:
        """Take what became of one of many users."""
        if user.result is not None:
            self.add(user.result, model)
        else:
            self._lines.clear()
            self.failed.append(user)
            say(f"Error: user {printable(user.user_id, 60)}: {printable(user.error)}")

    def sort(self, order: Sequence[str]) -> None:
        """Put all in the order of the file, whoever was finished first."""
        place = {user: number for number, user in enumerate(order)}
        self.done.sort(key=lambda it: place[it[0].user_id])
        self.failed.sort(key=lambda it: place[it.user_id])


def _induce(
    users: Users,
    settings: InductionSettings,
    beside: Mapping[str, Beside],
    model: ModelOptions,
    run: RunOptions,
    caps: Caps,
    output: PatientOutput | None,
) -> _Finished:
    from synthesizeme.cli._model_options import open_session
    from synthesizeme.induction import induce_user, induce_users
    from synthesizeme.progress import ProgressDisplay

    budget = run.budget_calls
    with ProgressDisplay() as lines:
        found = _Finished(run, settings, lines, output)
        if run.all_users:
            display = RunDisplay(lines, len(users))
            with open_session(model, display.on_call, caps) as session:

                def on_user(user: UserDone, summary: RunSummary) -> None:
                    found.add_user(user, session.model)
                    display.on_users(summary)

                found.stopped = induce_users(
                    session, users, settings, on_user,
                    budget_calls=budget, beside=beside,
                ).stopped  # fmt: skip
            found.sort(list(users))
            return found
        ((user, pairs),) = users.items()
        lines.label(user)
        with open_session(model, lines, caps) as session:
            result = induce_user(
                session, pairs, settings, budget_calls=budget, beside=beside[user],
            )  # fmt: skip
            found.add(result, session.model)
    return found


def _show(result: UserResult, files: Mapping[str, Path], model: Model, output: PatientOutput | None) -> None:
    if output is not None:
        output.show(lambda: show_result(result, files, model))
        return
    for caution in result.profile.cautions:
        say(f"Caution: user {printable(result.user_id, 60)}: {printable(caution.text)}")
    for note in result.notes:
        say(f"Note: user {printable(result.user_id, 60)}: {printable(note)}")


def _whole(found: _Finished, skipped: Sequence[str], run: RunOptions) -> dict[str, object]:
    """The JSON output; what only some runs have is there only for these."""
    whole: dict[str, object] = {"users": [result_json(result, files) for result, files in found.done]}
    if run.all_users:
        whole["pooled"] = accuracy_json([result for result, _ in found.done])
        whole["failed"] = [{"user_id": user.user_id, "error": user.error} for user in found.failed]
    if run.skip_bad_rows:
        whole["skipped_rows"] = list(skipped)
    return whole


def _write(run: RunOptions, result: UserResult, settings: InductionSettings) -> dict[str, Path]:
    """Write the user's files; keys are the names under ``files`` in the JSON output."""
    extra = {"evaluation.json": result.report(seed=settings.seed).to_json()} if result.outcomes else {}
    return write_profile(run.folder, result.profile, settings.judge_prompt, extra, force=run.force)
