"""Runs scorers by name on one LaMP task: who answers, with what condition of the user, and how well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from synthesizeme.backends import Question, Session
from synthesizeme.datasets.lamp import LampItem, LampQuestion, LampSet, LampTask, lamp_pairs
from synthesizeme.errors import ConfigError, DataError, UnknownNameError
from synthesizeme.evaluation.benchmarks import Benchmark
from synthesizeme.evaluation.controls import another_users
from synthesizeme.evaluation.folds import Fold
from synthesizeme.evaluation.measurement import Condition
from synthesizeme.evaluation.personal import knowledge_changes, states_kept
from synthesizeme.induction.one_user import InductionSettings
from synthesizeme.judges.by_name import OnLabel, Scorers
from synthesizeme.judges.names import JUDGES, RetrievalSettings, asks_model, retrieval_judges
from synthesizeme.lamp.answers import Choice, Ranking, choose, lamp_prompt, rank_profiles, ranked_items
from synthesizeme.lamp.metrics import LampReport, LampRow, Metric, as_score, metrics_of
from synthesizeme.replies.statements import label_in
from synthesizeme.retrieval import retriever_names
from synthesizeme.scoring import PersonalScorer
from synthesizeme.types import Failure, Message, Usage

VOTE, DIRECT = "vote-", "direct-"
REFERENCES = ("longer", "random")
"""References that can choose among any texts."""


def voters() -> tuple[str, ...]:
    """Names of those who answer with the label that the retrieved items have."""
    return tuple(f"{VOTE}{name}" for name in retriever_names() if name != "none")


def writers() -> tuple[str, ...]:
    """Names of those who let a language model answer in its own words, as in the paper."""
    return tuple(f"{DIRECT}{name}" for name in retriever_names())


def check_names(names: Iterable[str], task: LampTask, models: Sequence[str]) -> None:
    """Refuse names that cannot answer.

    Args:
        names: Names of scorers.
        task: What is answered.
        models: Names of the reward models there are.

    Raises:
        UnknownNameError: a name is nobody's; lists those there are.
        ConfigError: a vote is asked for in a task whose items carry no label.
    """
    known = (*JUDGES, *retrieval_judges(), *writers(), *voters(), *REFERENCES, *models)
    for name in names:
        if name not in known:
            raise UnknownNameError("scorer", name, known)
        if name in voters() and task.kind not in ("label", "score"):
            raise ConfigError(f"{name} answers tasks 2 and 3 alone: the items of {task.name} carry no label")


def asks(name: str) -> bool:
    """Whether a language model is asked."""
    return asks_model(name) or name in writers()


def controls_of(name: str) -> tuple[Condition, ...]:
    """What can be changed of what a scorer knows of the user."""
    if name in ("default", f"{DIRECT}none", *REFERENCES):
        return ()
    if name in voters():
        return ("wrong_user",)
    if name in writers():
        return ("no_user", "wrong_user")
    return ("no_user", "wrong_user", "swapped_labels")


Answers = list[str | Failure]


class LampRun:
    """Answers one task by name and measures the answers.

    Args:
        data: Questions and golds.
        settings: Seed, prompts, and how profiles are induced for the judges that need one.
        session: The model; needed by judges and writers alone.
        models: Reward models by name; they are fitted on the past items when first asked.
        retrieval: How many items are shown, and which encoder ``dense`` uses.
        ranking: The order of items for ``direct-…`` and ``vote-…``, made elsewhere.
        on_label: See `Scorers`.
    """

    def __init__(
        self,
        data: LampSet,
        settings: InductionSettings | None = None,
        *,
        session: Session | None = None,
        models: Mapping[str, PersonalScorer] | None = None,
        retrieval: RetrievalSettings | None = None,
        ranking: Ranking | None = None,
        on_label: OnLabel | None = None,
    ) -> None:
        self.data = data
        self.settings = settings or InductionSettings()
        self._session = session
        self._models = dict(models or {})
        self._fitted: set[str] = set()
        self._given: dict[tuple[str, Condition], tuple[Answers, Usage | None]] = {}
        self._retrieval = retrieval or RetrievalSettings()
        self._ranking = ranking
        pairs = lamp_pairs(data, seed=self.settings.seed)
        self._fold = Fold(
            name=data.name,
            history=tuple(pair for pair in pairs if pair.split != "test"),
            test=tuple(pair for pair in pairs if pair.split == "test"),
        )
        self._scorers = Scorers(
            Benchmark(name=data.name, description=data.task.about, folds=(self._fold,)),
            self.settings,
            session=session,
            retrieval=self._retrieval,
            on_label=on_label,
        )

    def report(self, names: Sequence[str], *, controls: bool = False) -> LampReport:
        """Every scorer's metrics, and with `controls` those when it knows nobody, or somebody else.

        Raises:
            UnknownNameError: a name is no scorer.
            ConfigError: a scorer needs a model, or cannot answer this task.
            DataError: the data does not carry what a scorer needs.
        """
        check_names(names, self.data.task, tuple(self._models))
        rows = tuple(self._row(name, controls) for name in dict.fromkeys(names))
        users = len({question.user_id for question in self.data.questions})
        invented = (
            " Shipped sample of invented authors: to try, not to measure." if self.data.invented else ""
        )
        model = f" Model: {self._session.model.name} ({self._session.model.kind})." if self._session else ""
        return LampReport(
            benchmark=self.data.name,
            protocol=f"LaMP task {self.data.number}, {self.data.task.about}, {self.data.separation}-based, "
            f"{self.data.split} split: {len(self.data.questions)} questions of {users} users. At most "
            f"{self._retrieval.k} items are retrieved.{model}{invented}",
            rows=rows,
        )

    def _row(self, name: str, controls: bool) -> LampRow:
        answers, usage = self.answers(name)
        found = {}
        if controls:
            found = {
                condition: {
                    metric: it.value for metric, it in self.metrics(self.answers(name, condition)[0]).items()
                }
                for condition in controls_of(name)
            }
        failures = Counter(it.kind for it in answers if isinstance(it, Failure))
        return LampRow(
            name=name,
            metrics=self.metrics(answers),
            controls=found,
            questions=len(answers),
            failures=dict(sorted(failures.items())),
            usage=usage,
        )

    def metrics(self, answers: Sequence[str | Failure]) -> dict[str, Metric]:
        """LaMP's metrics of these answers, one for each question; a failure is an unknown answer."""
        questions, task = self.data.questions, self.data.task
        return metrics_of(
            task.kind,
            [self.data.golds[question.question_id] for question in questions],
            ["" if isinstance(answer, Failure) else answer for answer in answers],
            [question.user_id for question in questions],
            task.labels,
            seed=self.settings.seed,
        )

    def answers(self, name: str, condition: Condition = "own") -> tuple[Answers, Usage | None]:
        """What a scorer answers, question by question, and what it cost; asked once. None: no model is asked.

        Raises:
            ConfigError: it needs a model.
            DataError: the task writes text and there are no candidates, or only one user for ``wrong_user``.
        """
        if condition == "no_user" and name in (*JUDGES, *retrieval_judges()):
            name, condition = "default", "own"
        key = name, condition
        if key not in self._given:
            if name in voters():
                items = self._items(name.removeprefix(VOTE), condition)
                self._given[key] = [_vote(self.data, it) for it in items], None
            elif name in writers():
                self._given[key] = self._written(name, condition)
            else:
                self._given[key] = self._chosen(name, condition)
        return self._given[key]

    def _chosen(self, name: str, condition: Condition) -> tuple[Answers, Usage | None]:
        choices = [
            Choice(
                f"{self.data.name}:question:{question.question_id}",
                question.user_id,
                self.data.prompt(question),
                self.data.choices(question),
            )
            for question in self.data.questions
        ]
        ledger = None
        if name in self._models:
            positions = self._by_model(name, condition, choices)
        else:
            ledger = self._scorers.ledger() if asks(name) else None
            told = "own" if condition == "no_user" else condition
            positions = choose(self._scorers.scorer(name, self._fold, told, ledger), choices)
        answers: Answers = [
            it if isinstance(it, Failure) else self._as_answer(choice.candidates, it)
            for it, choice in zip(positions, choices, strict=True)
        ]
        return answers, ledger.usage if ledger else None

    def _as_answer(self, candidates: Sequence[str], position: int) -> str:
        return self.data.task.labels[position] if self.data.task.kind == "reference" else candidates[position]

    def _by_model(self, name: str, condition: Condition, choices: Sequence[Choice]) -> list[int | Failure]:
        """What a reward model chooses, told what `condition` says; afterwards it knows its own again."""
        model = self._models[name]
        if name not in self._fitted:
            model.fit(self._fold.history)
            self._fitted.add(name)
        if condition == "own":
            return choose(model, choices)
        changes = knowledge_changes(model, self._fold, seed=self.settings.seed)
        if condition not in changes:
            raise DataError("one user alone has nobody to lend a profile", cure="leave the controls out")
        with states_kept(model) as own:
            model.users_ = dict(own)
            model.fit_users(changes[condition].histories)
            return choose(model, choices)

    def _items(self, retriever: str, condition: Condition) -> list[list[LampItem]]:
        """The items retrieved for each question, from whosever profile it is to be."""
        questions = list(self.data.questions)
        k = self._retrieval.k
        if condition == "no_user":
            return [[] for _ in questions]
        if condition == "wrong_user":
            lent = another_users({it.user_id: it.profile for it in questions}, self.settings.seed)
            questions = [it.model_copy(update={"profile": lent[it.user_id]}) for it in questions]
        elif self._ranking is not None:
            return [ranked_items(it, self._ranking, k) for it in questions]
        found = self._retrieval.retriever(retriever, self.settings.seed)
        lending = self.data.model_copy(update={"questions": tuple(questions)})
        ranking = rank_profiles(lending, found, k=k)
        return [ranked_items(it, ranking, k) for it in questions]

    def _written(self, name: str, condition: Condition) -> tuple[Answers, Usage]:
        if self._session is None:
            raise ConfigError(f"{name} needs a language model")
        ledger = self._session.ledger()
        items = self._items(name.removeprefix(DIRECT), condition)
        outcomes = ledger.ask(
            [self._question(it, shown) for it, shown in zip(self.data.questions, items, strict=True)],
            stage=f"evaluating {name}",
        )
        answers: Answers = [
            it if isinstance(it, Failure) else label_in(it.text, self.data.task.labels) for it in outcomes
        ]
        return answers, ledger.usage

    def _question(self, question: LampQuestion, items: Sequence[LampItem]) -> Question:
        text = lamp_prompt(self.data.task, question, items, max_tokens=self._retrieval.max_tokens)
        return Question((Message(role="user", content=text),))


def _vote(data: LampSet, items: Sequence[LampItem]) -> str | Failure:
    """The label most of the items have, the best-ranked of equals; of scores the rounded mean."""
    labels = [item.fields[data.task.answer] for item in items]
    if not labels:
        return Failure(kind="unknown_user", detail="there is no past item to go by")
    if data.task.kind == "score":
        low, high = data.task.labels[0], data.task.labels[-1]
        return str(round(fmean(float(as_score(low, label, (low, high))) for label in labels)))
    return max(labels, key=lambda label: (labels.count(label), -labels.index(label)))
