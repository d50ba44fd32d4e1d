"""The budget of a prompt, worked by hand and on random sizes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from synthesizeme.judges.retrieval_judge import CUT, INPUT_SHARE, allot, count_pieces, cut

SIZES = st.lists(st.integers(1, 300), max_size=8)


def test_worked_by_hand():
    # 400 tokens, 100 of them the input: 300 for three items, 100 each; the first leaves 50 for the others.
    assert allot(100, [50, 500, 80], [10, 10, 10], 400) == [50, 125, 80]
    # An input of 300 reserves 0.6 * 400 = 240, but all 300 stay: items are dropped until they fit.
    assert allot(300, [90, 90, 90], [30, 30, 30], 400) == [90]
    assert allot(300, [100, 100], [100, 100], 400) == [100]
    # Shares too small for the least: the last item goes.
    assert allot(0, [100, 100, 100], [60, 60, 60], 150) == [75, 75]
    assert allot(500, [10], [1], 400) == []
    assert allot(10, [], [], 400) == []


@given(st.integers(0, 500), SIZES, st.integers(1, 600))
def test_the_whole_input_always_fits_beside_what_is_kept(asked, wanted, most):
    least = [(size + 1) // 2 for size in wanted]
    given_ = allot(asked, wanted, least, most)
    assert sum(given_) <= max(most - asked, 0)
    assert sum(given_) <= most - min(asked, int(INPUT_SHARE * most))
    assert all(low <= tokens <= size for low, tokens, size in zip(least, given_, wanted, strict=False))
    if asked + sum(wanted) <= most and sum(wanted) <= most - min(asked, int(INPUT_SHARE * most)):
        assert len(given_) == len(wanted)


@given(st.text(max_size=80), st.integers(0, 30))
def test_a_cut_text_is_a_marked_beginning_within_its_tokens(text, most):
    shortened = cut(text, most)
    assert count_pieces(shortened) <= most
    if shortened != text:
        assert not shortened or (shortened.endswith(CUT) and text.startswith(shortened.removesuffix(CUT)))


def test_a_cut_ends_at_a_word():
    assert cut("one two, three four", 5) == "one two, three four"
    assert cut("one two, three four five", 5) == "one two, three …"
