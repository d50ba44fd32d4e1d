import pytest

from synthesizeme.datasets import inspect
from synthesizeme.types import PreferencePair


def test_summary_of_a_few_pairs(pair_row):
    said = [{"role": "user", "content": "Hi"}]
    rows = [
        pair_row(1, prompt=said, split="train", metadata={"a": 1, "b": 2}),
        pair_row(2, prompt=said, split="test", metadata={"a": 3}),
        pair_row(3, chosen=[{"role": "assistant", "content": "x" * 99}], user_id="bob"),
        pair_row(4, prompt=[*said, {"role": "assistant", "content": "Yes?"}, *said], user_id="bob"),
        {**pair_row(1, split="validation"), "pair_id": "again"},
    ]
    summary = inspect([PreferencePair.model_validate(row) for row in rows])
    assert (summary.pairs, summary.users, summary.prompts) == (5, 2, 4)
    assert summary.splits == {"train": 1, "test": 1, "none": 2, "validation": 1}
    assert (
        summary.pairs_per_user.minimum,
        summary.pairs_per_user.median,
        summary.pairs_per_user.maximum,
    ) == (2, 2.5, 3)
    assert (summary.prompt_turns.minimum, summary.prompt_turns.median, summary.prompt_turns.maximum) == (
        1,
        1,
        3,
    )
    assert summary.response_characters.maximum == 99
    assert summary.chosen_longer == pytest.approx(1 / 5)
    assert summary.prompts_in_several_splits == 1
    assert summary.comparisons_in_several_splits == 1
    assert summary.metadata_keys == {"a": 2, "b": 1}


def test_responses_of_equal_length_say_nothing_about_length(pair_row):
    row = pair_row(rejected=[{"role": "assistant", "content": "six feet (0)."}])
    assert inspect([PreferencePair.model_validate(row)]).chosen_longer is None


def test_nothing_cannot_be_summarised():
    with pytest.raises(ValueError, match="no pairs"):
        inspect([])
