from __future__ import annotations

import numpy as np
import pytest
from invented import pair

from synthesizeme.backends import Session, open_model
from synthesizeme.errors import ConfigError, DataError, UnknownNameError
from synthesizeme.evaluation.benchmarks import Benchmark, limit_users
from synthesizeme.evaluation.folds import Fold
from synthesizeme.induction.one_user import InductionSettings
from synthesizeme.judges.by_name import Scorers
from synthesizeme.judges.names import RetrievalSettings
from synthesizeme.types import Demonstration


def rows(user, numbers, split, calm):
    """Pairs of a user who dislikes, or likes, exclamation marks."""
    made = [
        pair(
            i,
            user=user,
            split=split,
            chosen=f"It is six feet, number {i}.",
            rejected=f"Wow! Great! Number {i}! Yes!",
        )
        for i in numbers
    ]
    return made if calm else [it.swapped_labels() for it in made]


@pytest.fixture
def benchmark():
    history = [*rows("calm", range(14), "train", True), *rows("loud", range(14), "train", False)]
    test = [*rows("calm", range(20, 24), "test", True), *rows("loud", range(20, 24), "test", False)]
    return Benchmark(
        name="invented",
        description="Invented.",
        folds=(Fold(name="one", history=tuple(history), test=tuple(test)),),
    )


def test_knowing_the_user_helps_and_the_controls_take_it_away(benchmark):
    labels = []
    scorers = Scorers(
        benchmark, InductionSettings(), session=Session(open_model("builtin")),
        on_label=lambda name, position, total: labels.append((name, position, total)),
    )  # fmt: skip
    report = scorers.report(["default", "both", "persona", "memory"], controls=True)
    default, both, persona, memory = report.rows
    assert default.micro == 0.5
    assert both.micro == persona.micro == memory.micro == 1.0
    assert both.controls == {"no_user": 0.5, "wrong_user": 0.0, "swapped_labels": 0.0}
    assert both.gain.value == 0.5
    assert "rule-based reader" in report.protocol
    assert scorers.induction_usage.calls > 0
    assert labels[:3] == [("invented", 1, 1), ("calm", 1, 2), ("loud", 2, 2)]


def test_profiles_are_induced_once_for_all_judges(benchmark):
    scorers = Scorers(benchmark, InductionSettings(), session=Session(open_model("builtin")))
    scorers.report(["both"])
    spent = scorers.induction_usage
    scorers.report(["persona", "demonstrations"])
    assert scorers.induction_usage == spent


def test_references_ask_nobody(benchmark):
    report = Scorers(benchmark, InductionSettings()).report(["oracle", "longer", "random", "majority"])
    assert [row.name for row in report.rows] == ["oracle", "longer", "random", "majority"]
    assert report.rows[0].micro == 1.0
    with pytest.raises(ConfigError, match="need a model"):
        Scorers(benchmark, InductionSettings()).report(["default"])
    with pytest.raises(DataError, match="gpt4"):
        Scorers(benchmark, InductionSettings()).report(["gpt4"])
    with pytest.raises(UnknownNameError, match="majority"):
        Scorers(benchmark, InductionSettings()).report(["minority"])


def test_a_profile_is_not_measured_on_pairs_it_was_made_from(benchmark):
    session = Session(open_model("builtin"))
    method = InductionSettings().method(session)
    known = [*rows("calm", range(14), "train", True), *rows("calm", range(20, 22), "validation", True)]
    leaky, honest = (method.fit(pairs) for pairs in (known, known[:14]))
    with pytest.raises(
        DataError, match=r"'calm' was made from 2 of the 4 test pairs.*Cure: induce it"
    ) as found:
        Scorers(benchmark, InductionSettings(), session=session, profiles={"calm": leaky}).outcome("both")
    assert found.value.field == "profiles"
    by_hand = leaky.model_copy(update={"provenance": None, "demonstrations": demonstrations_of(known[-1])})
    with pytest.raises(DataError, match="1 of the 4"):
        Scorers(benchmark, InductionSettings(), session=session, profiles={"calm": by_hand}).report(["both"])
    scorers = Scorers(benchmark, InductionSettings(), session=session, profiles={"calm": honest})
    assert scorers.outcome("both").by_user == {"calm": 1.0}
    asks_nobody = Scorers(benchmark, InductionSettings(), profiles={"calm": leaky})
    assert asks_nobody.outcome("oracle").micro == 1.0


def demonstrations_of(shown):
    return (Demonstration(comparison=shown.compare("chosen_first"), preference="first"),)


def test_users_can_be_limited(benchmark):
    one = limit_users(benchmark, 1)
    assert {it.user_id for it in one.pairs} == {"calm"}
    assert limit_users(benchmark, 99) == benchmark


def test_history_is_needed_to_induce(benchmark):
    fold = benchmark.folds[0].model_copy(update={"history": ()})
    empty = benchmark.model_copy(update={"folds": (fold,)})
    with pytest.raises(DataError, match="no train or validation pair"):
        Scorers(empty, InductionSettings(), session=Session(open_model("builtin"))).report(["both"])


def test_retrieval_helps_and_the_controls_take_it_away(benchmark):
    scorers = Scorers(
        benchmark,
        InductionSettings(),
        session=Session(open_model("builtin")),
        retrieval=RetrievalSettings(k=6),
    )
    names = ["default", *(f"retrieval-{name}" for name in ("random", "recency", "bm25"))]
    default, *retrieving = scorers.report(names, controls=True).rows
    assert default.micro == 0.5
    for row in retrieving:
        assert row.micro == 1.0
        assert row.controls == {"no_user": 0.5, "wrong_user": 0.0, "swapped_labels": 0.0}
    assert scorers.induction_usage.calls == 0
    scorers.outcome("retrieval-bm25+persona")
    assert scorers.induction_usage.calls > 0


def test_dense_retrieval_opens_its_encoder_once_it_is_needed(benchmark):
    opened = []

    def encoder():
        opened.append(True)
        return lambda texts: np.array([[len(text), 1.0] for text in texts])

    settings = RetrievalSettings(k=6, open_encoder=encoder)
    scorers = Scorers(
        benchmark, InductionSettings(), session=Session(open_model("builtin")), retrieval=settings
    )
    scorers.outcome("retrieval-bm25")
    assert not opened
    assert scorers.outcome("retrieval-dense").micro == 1.0
    assert opened
    with pytest.raises(ConfigError, match="--encoder"):
        Scorers(benchmark, InductionSettings(), session=Session(open_model("builtin"))).outcome(
            "retrieval-dense"
        )
    with pytest.raises(ConfigError, match=r"k is 0; expected 1 or more; max_tokens is -1"):
        RetrievalSettings(k=0, max_tokens=-1)
