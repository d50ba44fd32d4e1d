"""A reward model that was trained earlier is measured as it is, and never on what it learned from."""

from __future__ import annotations

import opposites
import pytest

import reward_models
from synthesizeme.errors import DataError
from synthesizeme.evaluation.measurement import OWN
from synthesizeme.evaluation.personal import NO_HISTORY, ONE_USER, UNRECORDED, measure_saved

MODEL = "hierarchical-stylometric"


@pytest.fixture
def whole():
    return opposites.benchmark()


@pytest.fixture
def model(whole, tmp_path):
    """Trained on the history, saved and read again."""
    reward_models.method(MODEL)().fit(whole.folds[0].history).save(tmp_path / "m")
    return reward_models.load(tmp_path / "m")


def accuracies(part):
    return {name: outcome.micro for name, outcome in part.outcomes.items()}


def states(model):
    return {user: {name: it.tobytes() for name, it in state.items()} for user, state in model.users_.items()}


def test_its_own_states_answer_and_each_control_changes_them_alone(whole, model):
    (fold,) = whole.folds
    before = states(model)
    part = measure_saved(model, whole, fold)
    found = accuracies(part)
    assert found[OWN] == 1.0
    assert found["no_user"] == 5 / 8
    assert found["wrong_user"] < 1.0
    assert found["swapped_labels"] == 0.0
    assert part.fit_seconds is None
    assert states(model) == before
    (note,) = part.notes
    assert note.startswith("labels swapped in the history that this data has of 8 of the 8 users it knows")


def test_without_history_there_are_no_swapped_labels_and_that_is_said(whole, model):
    bare = whole.folds[0].model_copy(update={"history": ()})
    part = measure_saved(model, whole, bare)
    assert set(part.outcomes) == {OWN, "no_user", "wrong_user"}
    assert part.notes == (NO_HISTORY,)
    assert set(measure_saved(model, whole, bare, controls=False).outcomes) == {OWN, "no_user"}


def test_users_it_does_not_know_are_counted_and_answered_as_anybody(whole, model):
    (fold,) = whole.folds
    model.forget_user("c0").forget_user("l1")
    part = measure_saved(model, whole, fold)
    assert part.notes[0] == "2 of the 8 users asked about are not in the checkpoint"
    answers = {
        name: {pair.pair_id: pair for pair in part.outcomes[name].pairs}
        for name in (OWN, "wrong_user", "no_user")
    }
    for pair in fold.test:
        if pair.user_id in ("c0", "l1"):
            assert len({repr(found[pair.pair_id]) for found in answers.values()}) == 1
    assert part.outcomes["swapped_labels"].micro < part.outcomes["no_user"].micro


def test_one_known_user_has_nobody_to_lend_a_state(whole, model):
    for user in model.users[1:]:
        model.forget_user(user)
    assert ONE_USER in measure_saved(model, whole, whole.folds[0]).notes


def test_test_pairs_that_it_learned_from_are_refused_whatever_their_ids(whole, model):
    (fold,) = whole.folds
    known = fold.history[0].model_copy(
        update={"split": "test", "pair_id": "another id", "metadata": {"a": 1}}
    )
    leaking = fold.model_copy(update={"test": (*fold.test, known)})
    with pytest.raises(DataError, match=rf"{MODEL} learned from 1 of the 33 test pairs.*--holdout"):
        measure_saved(model, whole, leaking)


def test_a_checkpoint_that_does_not_say_what_it_learned_from_is_measured_with_a_warning(whole, model):
    model.learned_from = None
    assert measure_saved(model, whole, whole.folds[0]).notes[0] == UNRECORDED
