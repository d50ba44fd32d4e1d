"""One or two responses and what somebody said of them, in columns of many names."""

from __future__ import annotations

import pytest

from synthesizeme.datasets import parse_scale, read_feedback, read_pairs, write_pairs
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.feedback import THUMBS, Edit, Rating, Scale, Tie, kinds_of
from synthesizeme.types import Strength

ASKED = {"user_id": "ada", "prompt": "How deep is a fathom?"}
TWO = {**ASKED, "response_a": "Six feet.", "response_b": "A unit of length."}
ONE = {**ASKED, "response": "Six feet."}


def chosen(row, **options):
    (pair,) = read_pairs([row], **options).pairs
    return "a" if pair.chosen_text == "Six feet." else "b"


@pytest.mark.parametrize(
    "winner", ["a", "A", "model_a", "Response A", "left", "first", "Six feet.", "a is better"]
)
def test_a_winner_may_be_named_in_many_ways(winner):
    assert chosen({**TWO, "winner": winner}) == "a"


@pytest.mark.parametrize(
    ("sides", "winner"),
    [(("response_1", "response_2"), 2), (("output_1", "output_2"), "2.0"), (("answer0", "answer1"), 1)],
)
def test_a_number_is_read_as_the_end_of_a_columns_name(sides, winner):
    row = {**ASKED, sides[0]: "Six feet.", sides[1]: "A unit of length.", "preference": winner}
    if winner == "2.0":
        row["preference"] = 2.0
    assert chosen(row) == "b"


def test_a_winner_may_be_the_name_of_its_model():
    assert chosen({**TWO, "model_a": "x", "model_b": "y", "winner": "y"}) == "b"


@pytest.mark.parametrize("winner", [1, "0", "a bit better b", "c", True])
def test_a_winner_that_may_be_either_is_refused_with_the_words_that_would_do(winner):
    with pytest.raises(
        DataError, match=r"says not which of 'response_a' and 'response_b'.*write a, b or tie"
    ):
        read_feedback([{**TWO, "winner": winner}])


@pytest.mark.parametrize(
    ("winner", "both"),
    [("tie", None), ("Tie (bothbad)", "bad"), ("both_bad", "bad"), ("both good", "good"), ("neither", None),
     ("It's a tie", None)],
)  # fmt: skip
def test_a_tie_is_no_pair_and_says_what_it_says(winner, both):
    found = read_feedback([{**TWO, "winner": winner, "reason": "Both say it."}])
    (tie,) = found.feedback
    assert found.pairs == ()
    assert isinstance(tie, Tie)
    assert (tie.both, tie.responses, tie.reason) == (both, ("Six feet.", "A unit of length."), "Both say it.")


@pytest.mark.parametrize(
    ("column", "value", "side", "strength"),
    [
        ("overall_preference", -3, "a", Strength(level=3, levels=3)),
        ("preference_strength", "1", "b", Strength(level=1, levels=3)),
        ("preference", "B-is-slightly-better", "b", Strength(level=1, levels=2)),
        ("preference", "A-is-clearly-better", "a", Strength(level=2, levels=2)),
    ],
)
def test_how_much_is_the_strength_of_the_pair(column, value, side, strength):
    row = {**TWO, column: value}
    assert chosen(row) == side
    assert read_pairs([row]).pairs[0].strength == strength


def test_a_signed_preference_of_nothing_is_a_tie_and_one_off_the_scale_is_refused():
    assert kinds_of(read_feedback([{**TWO, "overall_preference": 0}]).feedback) == {"tie": 1}
    with pytest.raises(DataError, match="expected a whole number from -3, the first is much better"):
        read_feedback([{**TWO, "overall_preference": 4}])


@pytest.mark.parametrize(
    ("row", "column"),
    [({"chosen": "x", "rejected": "y", "strength": "2/3"}, None),
     ({"chosen": "x", "rejected": "y", "strength": {"level": 2, "levels": 3}}, None),
     ({"chosen": "x", "rejected": "y", "how": "2 of 3"}, "how")],
)  # fmt: skip
def test_a_pair_may_come_with_its_strength_and_reason(row, column):
    columns = {"strength": column} if column else {}
    (pair,) = read_pairs([{**ASKED, **row, "reason": "Shorter."}], columns=columns).pairs
    assert (pair.strength, pair.reason) == (Strength(level=2, levels=3), "Shorter.")


@pytest.mark.parametrize("strength", [2, "much", "4/3"])
def test_a_strength_without_its_levels_is_refused(strength):
    row = {**ASKED, "chosen": "x", "rejected": "y", "strength": strength}
    with pytest.raises(DataError, match=r"such as 2/3"):
        read_pairs([row])


def test_scores_of_both_sides_are_a_strength_where_their_scale_is_known():
    row = {**ASKED, "chosen": "x", "rejected": "y", "score_chosen": 9, "score_rejected": 4}
    assert read_pairs([row]).pairs[0].strength is None
    scale = Scale(lowest=1, highest=10, levels=10)
    assert read_pairs([row], scale=scale).pairs[0].strength == Strength(level=5, levels=9)
    with pytest.raises(DataError, match="expected a higher and a lower one from 1 to 10"):
        read_pairs([{**row, "score_chosen": 11}], scale=scale)


@pytest.mark.parametrize(
    ("value", "up"), [(True, 1), ("up", 1), (1, 1), ("👍", 1), (-1, 0), ("Dislike", 0), (False, 0), ("no", 0)]
)
def test_a_thumb_is_a_rating_with_two_levels_and_no_pair(value, up):
    found = read_feedback([{**ONE, "thumb": value, "comment": "Yes."}])
    (thumb,) = found.feedback
    assert isinstance(thumb, Rating)
    assert (thumb.value, thumb.scale, thumb.reason, found.pairs) == (up, THUMBS, "Yes.", ())
    assert kinds_of(found.feedback) == {"thumb": 1}


def test_a_row_of_kto_is_a_thumb():
    rows = [
        {"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": text}],
         "label": label}
        for text, label in (("Hello.", True), ("What?", False))
    ]  # fmt: skip
    found = read_feedback(rows, user_id="ada").feedback
    assert [(it.response, it.value) for it in found if isinstance(it, Rating)] == [
        ("Hello.", 1),
        ("What?", 0),
    ]


def test_the_five_ratings_of_helpsteer_have_their_scale_and_helpfulness_is_of_the_whole():
    row = {"prompt": "Hi", "response": "Hello.", "helpfulness": 4, "correctness": 3, "coherence": 4,
           "complexity": 1, "verbosity": 0}  # fmt: skip
    found = read_feedback([row], user_id="ada").feedback
    values = {it.aspect: (it.value, it.level, it.scale.levels) for it in found if isinstance(it, Rating)}
    assert values == {
        None: (4, 5, 5), "correctness": (3, 4, 5), "coherence": (4, 5, 5), "complexity": (1, 2, 5),
        "verbosity": (0, 1, 5),
    }  # fmt: skip


def test_ratings_need_their_scale_which_may_stand_in_the_rows():
    row = {**ONE, "stars": "4"}
    with pytest.raises(
        DataError, match=r"field 'scale': it is not said what ratings could be given.*--scale 1..5"
    ):
        read_feedback([row])
    five = parse_scale("1..5")
    for found in (read_feedback([row], scale=five), read_feedback([{**row, "scale": "1-5"}])):
        assert [it.scale for it in found.feedback if isinstance(it, Rating)] == [five]
    with pytest.raises(DataError, match="value is 4; expected 1 to 3"):
        read_feedback([row], scale=parse_scale("1..3"))


@pytest.mark.parametrize(
    ("text", "scale"),
    [("1..5", (1, 5, 5)), ("0 - 10", (0, 10, 11)), ("0..5/11", (0, 5, 11)), ("-3..3", (-3, 3, 7)),
     ("0.5..5/10", (0.5, 5, 10))],
)  # fmt: skip
def test_a_scale_in_words(text, scale):
    assert parse_scale(text) == Scale(lowest=scale[0], highest=scale[1], levels=scale[2])


@pytest.mark.parametrize("text", ["5", "5..1", "0..1/1", "0.5..5", "low..high"])
def test_what_is_no_scale_is_refused(text):
    with pytest.raises(ConfigError, match="scale: found"):
        parse_scale(text)


def test_an_edit_is_one_and_an_unchanged_one_is_refused():
    (edit,) = read_feedback([{**ONE, "edited": "6 ft."}]).feedback
    assert isinstance(edit, Edit)
    assert (edit.original, edit.edited) == ("Six feet.", "6 ft.")
    with pytest.raises(
        DataError, match=r"field 'edited'.*leave the row out: an unchanged response says nothing"
    ):
        read_feedback([{**ONE, "edited": "Six feet. "}])


def test_one_row_may_say_several_things():
    row = {**ONE, "stars": 4, "thumb": "up", "edited": "6 ft.", "scale": "1..5"}
    assert kinds_of(read_feedback([row]).feedback) == {"rating": 1, "thumb": 1, "edit": 1}


def test_what_says_nothing_is_counted():
    rows = [{**ONE, "thumb": ""}, {**TWO, "winner": " "}, {**ONE, "response": " ", "thumb": "up"},
            {**TWO, "winner": "tie", "response_b": "Six feet."}, {**ONE, "thumb": "up"}]  # fmt: skip
    assert read_feedback(rows).reasons == {
        "no verdict": 2, "a response is blank": 1, "both responses are the same text": 1,
    }  # fmt: skip


def test_a_thumb_without_a_response_is_refused():
    with pytest.raises(DataError, match=r"field 'response': is missing.*give the response that it is for"):
        read_feedback([{**ONE, "response": None, "thumb": "up"}])


def test_two_answers_to_one_question_are_both_kept_if_a_time_or_an_id_tells_them_apart():
    up, down = {**ONE, "thumb": "up"}, {**ONE, "thumb": "down"}
    with pytest.raises(
        DataError, match=r"list row 2: says otherwise than list row 1.*created_at.*feedback_id"
    ):
        read_feedback([up, down])
    kept = read_feedback([up, down], skip_bad_rows=True)
    assert (len(kept.feedback), len(kept.skipped)) == (1, 1)
    for name, values in (
        ("created_at", ("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z")),
        ("feedback_id", "12"),
    ):
        rows = [{**row, name: value} for row, value in zip((up, down), values, strict=True)]
        assert len(read_feedback(rows).feedback) == 2
    with pytest.raises(DataError, match="repeats the feedback of list row 1"):
        read_feedback([up, dict(up)])


def test_columns_of_any_name_are_named():
    row = {"who": "ada", "q": "Hi", "x": "Hello.", "y": "What?", "best": "x", "note": "Polite."}
    columns = {"user_id": "who", "prompt": "q", "response_a": "x", "response_b": "y", "winner": "best",
               "reason": "note"}  # fmt: skip
    (pair,) = read_pairs([{**row, "best": "Hello."}], columns=columns).pairs
    assert (pair.chosen_text, pair.reason) == ("Hello.", "Polite.")
    row = {"who": "ada", "q": "Hi", "text": "Hello.", "marks": 7}
    columns = {"user_id": "who", "prompt": "q", "response": "text", "rating": "marks"}
    (said,) = read_feedback([row], columns=columns, scale=parse_scale("0..10")).feedback
    assert isinstance(said, Rating)
    assert said.value == 7


def test_our_own_file_of_feedback_gives_back_what_was_written(tmp_path):
    rows = [{**TWO, "winner": "both bad", "created_at": "2024-05-01T10:00:00Z", "topic": "units"},
            {**ONE, "stars": 4, "scale": "1..5", "reason": "Right."}, {**ONE, "edited": "6 ft."},
            {**TWO, "winner": "a"}]  # fmt: skip
    found = read_feedback(rows)
    path = tmp_path / "said.jsonl"
    assert write_pairs(path, [*found.feedback, *found.pairs]) == 4
    again = read_feedback(path)
    assert (again.format, again.feedback, again.pairs) == ("jsonl", found.feedback, found.pairs)
    assert read_feedback(list(found.feedback)).feedback == found.feedback


def test_a_bad_row_of_our_own_names_the_field_and_a_cure(tmp_path):
    (tie,) = read_feedback([{**TWO, "winner": "tie"}]).feedback
    row = tie.model_dump(mode="json")
    for change, problem in (
        ({"kind": "like"}, "found 'like'; expected tie, ranking, rating, edit"),
        ({"both": "ugly"}, r"field 'both'.*expected 'good' or 'bad'"),
        ({"reason": " "}, r"field 'reason'.*leave the field out where no reason was given"),
        ({"responses": ["a", "a"]}, r"responses 1 and 2 are the same text"),
        ({"value": 3}, "is not a field of a tie"),
    ):
        with pytest.raises(DataError, match=problem):
            read_feedback([{**row, **change}], format="jsonl")
