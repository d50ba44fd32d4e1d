from __future__ import annotations

from pathlib import Path

import numpy as np
import opposites
import pytest

import reward_models
from synthesizeme.comparison.personalization_tax import OVERALL, read_reward_bench, tax_report
from synthesizeme.errors import ConfigError
from synthesizeme.scoring import as_answers

QUESTIONS = read_reward_bench(Path(__file__).parents[1] / "comparison" / "reward_bench_2.jsonl")
PAIRS = [
    opposites.judged(user, number, calm=user != "loud", split="train")
    for user in ("calm", "quiet", "loud")
    for number in range(20)
]


@pytest.fixture(scope="module")
def model():
    return reward_models.method("hierarchical-stylometric")().fit(PAIRS)


def test_the_tax_is_the_mean_difference_to_the_score_without_a_user(model):
    [row] = tax_report([("mine", model)], QUESTIONS).rows
    assert (row.name, row.users) == ("mine", 3)
    for subset in ("Factuality", "Focus"):
        asked = [it for it in QUESTIONS if it.subset == subset]
        scores = {}
        for user in ("nobody", *model.users):
            won = [
                model.rewards(as_answers([it.prompt], it.right, [user]))[0]
                > max(model.rewards(as_answers([it.prompt] * 3, it.wrong, [user] * 3)))
                for it in asked
            ]
            scores[user] = np.mean(won)
        known = [scores[user] for user in model.users]
        found = row.scores[subset]
        assert found.without == scores["nobody"]
        assert found.known == pytest.approx(np.mean(known))
        assert found.tax.value == pytest.approx(np.mean(known) - scores["nobody"])
        assert found.worst == min(known)
        assert found.tax.n_users == 3
    means = [row.scores[name].without for name in dict.fromkeys(it.subset for it in QUESTIONS)]
    assert len(means) == 6
    assert row.scores[OVERALL].without == pytest.approx(np.mean(means))


def test_a_user_whose_taste_is_not_the_general_one_costs(model):
    loud = reward_models.method("hierarchical-stylometric")().fit(PAIRS)
    loud.forget_user("calm").forget_user("quiet")
    [row] = tax_report([("loud", loud)], QUESTIONS).rows
    [calm] = tax_report([("calm", model)], QUESTIONS, max_users=1).rows
    assert (row.users, calm.users) == (1, 1)
    assert row.scores[OVERALL].known != calm.scores[OVERALL].known


def test_a_model_without_users_has_no_tax(model, tmp_path):
    model.save(tmp_path / "model")
    nobody = reward_models.load(tmp_path / "model")
    for user in model.users:
        nobody.forget_user(user)
    report = tax_report([("nobody", nobody), ("model", model)], QUESTIONS)
    first, second = report.rows
    assert first.scores["Math"].tax is None
    assert first.scores["Math"].without == second.scores["Math"].without
    assert "10 questions with 43 responses in 6 subsets" in report.protocol
    assert "personalization tax" in report.to_markdown()
    assert [path.name for path in report.save(tmp_path / "r")] == ["results.json", "results.md"]


def test_a_model_that_refuses_unknown_users_cannot_be_measured(model):
    refusing = reward_models.method("hierarchical-stylometric")(unknown_user="refuse").fit(PAIRS)
    with pytest.raises(ConfigError, match=r"mine: refuses users.*params.unknown_user=population"):
        tax_report([("mine", refusing)], QUESTIONS)
