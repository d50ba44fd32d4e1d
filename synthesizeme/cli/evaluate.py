"""``evaluate``: any scorer on any benchmark, as a JSON report and a Markdown table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from synthesizeme.cli._command import option, verb
from synthesizeme.cli._html import HtmlOptions
from synthesizeme.cli._measuring import MeasuringOptions, loaded, measured_on, result_folder, scorer_names
from synthesizeme.cli._model_options import (
    InductionOptions,
    ModelOptions,
    RetrievalOptions,
    check_model,
    open_session,
)
from synthesizeme.cli._options import KEY_FILE, PROFILES, CommonOptions
from synthesizeme.cli._output import say
from synthesizeme.cli._reward_options import FloorOptions
from synthesizeme.cli._tables import print_reports, show_report
from synthesizeme.errors import BackendError, ConfigError
from synthesizeme.plain_text import count, printable

if TYPE_CHECKING:
    from synthesizeme.comparison.measure import Measured
    from synthesizeme.comparison.personalization_tax import TaxReport
    from synthesizeme.comparison.systems import Participants
    from synthesizeme.evaluation.benchmarks import Benchmark
    from synthesizeme.evaluation.measurement import Measurement
    from synthesizeme.evaluation.report import Report
    from synthesizeme.lamp import LampReport
    from synthesizeme.types import PreferencePair

    Found: TypeAlias = tuple[Report | LampReport | TaxReport, Sequence[Measurement], Sequence[PreferencePair]]
    """A report, and what stands behind it pair by pair, if it is one of accuracies."""

LAMP = ("lamp/", "lamp-time/")
LAMP_PANEL = "LaMP"
REWARD_BENCH = "reward-bench-2"


@dataclass(frozen=True)
class EvaluationOptions(MeasuringOptions):
    """What is measured on what."""

    store: str | None = PROFILES()
    key_file: Path | None = KEY_FILE()
    controls: bool = option(
        False, "Also run each judge and checkpoint as another user and with swapped labels."
    )
    sycophancy: bool = option(
        False,
        "Also measure how often the default judge, and the one with the persona, prefers the answer that "
        "agrees with the user, on 48 shipped pairs: 96 questions, and 96 more for each user.",
    )
    split: str = option(
        "dev", "Split of LaMP: train, dev or test (whose golds are not published).", "NAME", panel=LAMP_PANEL
    )
    ranking: Path | None = option(
        None,
        "JSON of item ids by question id, best first: what direct-… and vote-… are shown.",
        "FILE",
        panel=LAMP_PANEL,
    )


@verb
def evaluate(
    options: EvaluationOptions,
    induction: InductionOptions,
    retrieval: RetrievalOptions,
    model: ModelOptions,
    floor: FloorOptions,
    page: HtmlOptions,
    common: CommonOptions,
) -> None:
    """Measure scorers on a benchmark: accuracy with intervals over users, ties, failures, gains.

    On a terminal the columns that matter most are shown; elsewhere, and in --out, the whole Markdown
    table. Data is looked for in --data-dir, then in $SYNTHESIZEME_DATA_DIR, then on the hub. Reward models
    are fitted to the history; `compare` also measures them by the length of it. If no scorer is named, they
    are default,both,longer.
    """
    benchmarks = measured_on(options.benchmark, options.data)
    run = _Evaluation(options, induction, retrieval, induction.asking(model), floor.name)
    check_model(run.model)
    measured = run.measured(benchmarks)
    places: dict[str, Path] = {}
    if options.out is not None:
        places = {it: result_folder(options.out, it, benchmarks, force=options.force) for it in benchmarks}
    page.check("evaluate", benchmarks, force=options.force, data=options.data, ranking=options.ranking)
    found = []
    for name, part in zip(benchmarks, measured, strict=True):
        found.append(part)
        report, _, _ = part
        if name in places:
            written = ", ".join(printable(str(path)) for path in report.save(places[name]))
            say(f"Written: {written}")
        if not common.json:
            show_report(report)
    page.write_reports("evaluate", benchmarks, found)
    reports = [report for report, _, _ in found]
    if common.json:
        print_reports(reports)
    _refuse_silence(reports)


@dataclass(frozen=True)
class _Evaluation:
    """What the flags ask for."""

    options: EvaluationOptions
    induction: InductionOptions
    retrieval: RetrievalOptions
    model: ModelOptions
    floor: str | None

    def measured(self, benchmarks: list[str]) -> Iterator[Found]:
        """What is found on each benchmark; what is wrong with the flags is said at once.

        Raises:
            UnknownNameError: a name is no scorer.
            ConfigError: two flags exclude each other.
            DataError: a checkpoint or the data cannot be read.
        """
        if benchmarks == [REWARD_BENCH]:
            return self._of_nobody()
        if all(name.startswith(LAMP) for name in benchmarks):
            return self._of_lamp(benchmarks)
        return self._of_pairs(benchmarks)

    def _of_pairs(self, benchmarks: Sequence[str]) -> Iterator[Found]:
        from synthesizeme.comparison.systems import participants
        from synthesizeme.judges.names import has_controls

        options = self.options
        who = participants(scorer_names(options, "default,both,longer"), floor=self.floor)
        if options.controls and options.store is not None:
            raise ConfigError("--controls induces profiles of its own; it cannot be used with --store")
        if options.controls and not (who.classes or who.checkpoints or any(map(has_controls, who.names))):
            controlled = "persona, demonstrations, both, retrieval-…, reward models and checkpoints"
            say(f"--controls changes nothing here: only {controlled} have controls.")
        found = [loaded(name, options.data_dir, options.columns) for name in benchmarks]
        return (self._measured(benchmark, who) for benchmark in found)

    def _measured(self, benchmark: Benchmark, who: Participants) -> Measured:
        from synthesizeme.comparison.measure import evaluate
        from synthesizeme.comparison.systems import Measuring
        from synthesizeme.judges.sycophancy import measure_sycophancy
        from synthesizeme.profiles import open_profiles
        from synthesizeme.progress import ProgressDisplay

        options, settings = self.options, self.induction.settings()
        shared = {"seed": settings.seed} | ({} if self.floor is None else {"floor": self.floor})
        with ExitStack() as stack:
            display = stack.enter_context(ProgressDisplay())
            display.label(benchmark.name, 1, 1)
            asks = who.asking or options.sycophancy
            session = stack.enter_context(open_session(self.model, display)) if asks else None
            how = Measuring(
                settings, session, self.retrieval.settings(), dict.fromkeys(who.classes, shared),
                options.max_users, options.no_answers, display.label,
            )  # fmt: skip
            profiles = None
            if options.store is not None:
                profiles = stack.enter_context(open_profiles(options.store, key_file=options.key_file))
            measured, scorers = evaluate(benchmark, who, how, profiles=profiles, controls=options.controls)
            if options.sycophancy:
                bent = {"sycophancy": measure_sycophancy(scorers)}
                measured = measured._replace(report=measured.report.model_copy(update=bent))
        usage = scorers.induction_usage
        if usage.calls:
            say(f"Profiles induced with {count(usage.distinct_calls, 'call')} ({usage.cached_calls} cached).")
        return measured

    def _of_lamp(self, benchmarks: Sequence[str]) -> Iterator[Found]:
        from synthesizeme.datasets.lamp import lamp_task
        from synthesizeme.lamp.run import check_names, writers

        if self.options.store is not None:
            raise ConfigError("--store: on LaMP profiles are induced from the past items; leave it out")
        if self.options.sycophancy:
            raise ConfigError("--sycophancy: LaMP's judges choose among given answers; leave it out")
        scorers = scorer_names(self.options, "default,retrieval-bm25")
        models = self._models(scorers)
        for name in benchmarks:
            check_names(scorers, lamp_task(name), tuple(models))
        if self.model.model == "builtin" and any(name in writers() for name in scorers):
            raise ConfigError(
                "direct-… needs a language model; the builtin reader compares, it does not write"
            )
        return self._lamp_reports(benchmarks, scorers, models)

    def _lamp_reports(
        self, benchmarks: Sequence[str], scorers: Sequence[str], models: dict[str, Any]
    ) -> Iterator[Found]:
        from synthesizeme.datasets.lamp import load_lamp
        from synthesizeme.lamp import LampRun, read_ranking
        from synthesizeme.lamp.run import asks
        from synthesizeme.progress import ProgressDisplay

        options = self.options
        with ExitStack() as stack:
            display = stack.enter_context(ProgressDisplay())
            session = (
                stack.enter_context(open_session(self.model, display)) if any(map(asks, scorers)) else None
            )
            for name in benchmarks:
                display.label(name, 1, 1)
                data = load_lamp(name, split=options.split, data_dir=options.data_dir)
                if data.invented:
                    say(f"Note: {name} is in no folder of data; a small sample of invented authors is taken.")
                run = LampRun(
                    data.first_users(options.max_users),
                    self.induction.settings(),
                    session=session,
                    models=models,
                    retrieval=self.retrieval.settings(),
                    ranking=read_ranking(options.ranking, data) if options.ranking else None,
                    on_label=display.label,
                )
                yield run.report(scorers, controls=options.controls), (), ()

    def _models(self, scorers: Sequence[str]) -> dict[str, Any]:
        """The reward models among the names, not fitted yet.

        Raises:
            MissingExtraError: the library of one is not installed.
        """
        from reward_models import method, method_names

        shared: dict[str, Any] = {"seed": self.induction.seed}
        shared |= {} if self.floor is None else {"floor": self.floor}
        return {name: method(name)(**shared) for name in scorers if name in method_names()}

    def _of_nobody(self) -> Iterator[Found]:
        from synthesizeme.comparison.personalization_tax import tax_of_checkpoints

        options = self.options
        if options.store is not None or options.controls or options.sycophancy:
            raise ConfigError(
                "--store, --controls, --sycophancy: reward-bench-2 asks trained models alone; leave them out"
            )
        folders = scorer_names(options, "")
        yield tax_of_checkpoints(folders, options.data_dir, options.max_users, self.floor), (), ()


def _refuse_silence(reports: Sequence[Report | LampReport | TaxReport]) -> None:
    """Fail where every question of every scorer failed: that is no measurement."""
    from synthesizeme.evaluation.report import Report

    rows = [row for report in reports if isinstance(report, Report) for row in report.rows]
    if rows and all(row.micro is None for row in rows):
        kinds = sorted({kind for row in rows for kind in row.failures})
        cures = "show fewer pairs (--retrieved, --prompt-tokens) or take a model with a longer context; "
        raise BackendError(
            f"no scorer answered any question ({', '.join(kinds)}). Cure: "
            f"{cures if 'too_long' in kinds else ''}`synthesizeme doctor` says which models would work"
        )
