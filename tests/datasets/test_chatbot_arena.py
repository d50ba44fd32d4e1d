from datetime import UTC, datetime

import pytest

from synthesizeme.datasets import ReadReport, chatbot_arena, convert, read_pairs
from synthesizeme.errors import DataError
from synthesizeme.types import PreferencePair


def talk(*turns):
    return [{"content": text, "role": ("user", "assistant")[index % 2]} for index, text in enumerate(turns)]


def vote(**changes):
    row = {
        "question_id": "q1", "model_a": "koala", "model_b": "vicuna", "winner": "model_b", "judge": "arena_user_9",
        "conversation_a": talk("Hi", "Hello."), "conversation_b": talk("Hi", "Hey!"), "turn": 1, "anony": True,
        "language": "English", "tstamp": 1682351591.5, "toxic_chat_tag": {},
    }  # fmt: skip
    return {**row, **changes}


def test_a_vote_is_a_pair(write_lines):
    pair = read_pairs(write_lines(vote()), format="chatbot-arena").pairs[0]
    assert (pair.pair_id, pair.user_id) == ("q1", "arena_user_9")
    assert (pair.prompt[0].content, pair.chosen_text, pair.rejected_text) == ("Hi", "Hey!", "Hello.")
    assert pair.created_at == datetime.fromtimestamp(1682351591.5, UTC)
    assert pair.metadata == {
        "chosen_model": "vicuna", "rejected_model": "koala", "language": "English", "turns": 1,
        "shown_first": "rejected",
    }  # fmt: skip


def test_the_other_side_can_win(write_lines):
    pair = read_pairs(write_lines(vote(winner="model_a")), format="chatbot-arena").pairs[0]
    assert (pair.chosen_text, pair.metadata["shown_first"]) == ("Hello.", "chosen")


def test_ties_and_what_cannot_be_compared_are_counted(write_lines):
    path = write_lines(
        vote(question_id="q0", winner="tie"),
        vote(question_id="q2", winner="tie (bothbad)"),
        vote(conversation_b=talk("Ho", "Hey!")),
        vote(conversation_b=talk("Hi", "Hello.")),
        vote(conversation_b=talk("Hi", "")),
        vote(),
    )
    report = ReadReport()
    tie, bad, pair = chatbot_arena.FORMAT.read(path, report)
    assert (tie.responses, tie.both, bad.both) == (("Hello.", "Hey!"), None, "bad")
    assert tie.metadata["model_a"] == "koala"
    assert isinstance(pair, PreferencePair)
    assert report.reasons == {
        "the two conversations have no differing responses to a common prompt": 2,
        "a response is blank": 1,
    }
    assert report.rows_read == 6


def test_the_release_with_one_column_for_each_winner(write_lines):
    def row(number, won, **changes):
        winners = {name: int(name == won) for name in ("winner_model_a", "winner_model_b", "winner_tie")}
        return {
            "id": number, "model_a": "koala", "model_b": "vicuna", "prompt": '["Hi", "And you?"]',
            "response_a": '["Hello.", "Well."]', "response_b": '["Hello.", null]', **winners, **changes,
        }  # fmt: skip

    late = row(3, "winner_tie", response_b='["Hello.", "Bad."]')
    early = row(2, "winner_model_b", response_b='["Hey!", "Fine."]')
    blank = row(1, "winner_model_a")
    report = ReadReport(user_id="all")
    tie, pair = chatbot_arena.FORMAT.read(write_lines(late, early, blank), report)
    assert [turn.content for turn in tie.prompt] == ["Hi", "Hello.", "And you?"]
    assert tie.responses == ("Well.", "Bad.")
    assert (pair.chosen_text, pair.user_id, pair.pair_id) == ("Hey!", "all", "2")
    assert report.reasons == {"a response is blank": 1}
    with pytest.raises(DataError, match="expected a 1 in one of winner_model_a"):
        read_pairs(write_lines(row(4, "nobody")), format="chatbot-arena")


def test_several_turns_are_compared_where_they_part(write_lines):
    parted_late = vote(
        turn=2,
        conversation_a=talk("Hi", "Hello.", "How are you?", "Fine."),
        conversation_b=talk("Hi", "Hello.", "How are you?", "I am code."),
    )
    parted_early = vote(
        question_id="q2",
        turn=2,
        conversation_a=talk("Hi", "Hello.", "More", "a"),
        conversation_b=talk("Hi", "Hey!", "More", "b"),
    )
    late, early = read_pairs(write_lines(parted_late, parted_early), format="chatbot-arena").pairs
    assert [message.content for message in late.prompt] == ["Hi", "Hello.", "How are you?"]
    assert (late.chosen_text, late.rejected_text) == ("I am code.", "Fine.")
    assert [message.content for message in early.prompt] == ["Hi"]
    assert (early.chosen_text, early.rejected_text, early.metadata["turns"]) == ("Hey!", "Hello.", 2)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"winner": "model_c"}, "winner"),
        ({"judge": None}, "user_id"),
        ({"conversation_a": None}, "conversation_a"),
        ({"conversation_a": [{"role": "user"}]}, "conversation_a"),
        ({"question_id": "q0"}, "pair_id"),
    ],
)
def test_malformed_votes(changes, field, write_lines):
    path = write_lines(vote(question_id="q0"), vote(**changes))
    with pytest.raises(DataError, match=rf":2: field '{field}'"):
        read_pairs(path, format="chatbot-arena")
    assert len(read_pairs(path, skip_bad_rows=True, format="chatbot-arena").pairs) == 1


def test_is_recognised(write_lines, tmp_path):
    assert convert(write_lines(vote()), tmp_path / "out.jsonl").format == "chatbot-arena"
