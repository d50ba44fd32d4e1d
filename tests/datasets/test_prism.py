import pytest

from synthesizeme.datasets import ReadReport, convert, prism, read_feedback, read_pairs
from synthesizeme.errors import DataError
from synthesizeme.feedback import Ranking, Rating, kinds_of, pairs_in
from synthesizeme.types import Strength


def said(turn, content):
    return {"turn": turn, "role": "user", "content": content}


def answer(turn, within, content, score, chosen=False, model="m"):
    return {
        "turn": turn, "role": "model", "content": content, "model_name": model, "model_provider": "p",
        "score": score, "if_chosen": chosen, "within_turn_id": within,
    }  # fmt: skip


HISTORY = [
    said(0, "Where to?"),
    answer(0, 0, "Rome.", 40),
    answer(0, 1, "Oslo.", 90, True, "best"),
    answer(0, 2, "Home.", 90),
    answer(0, 3, " ", 1),
    said(1, "Why?"),
    answer(1, 0, "Fjords.", 70, True),
    answer(1, 1, "Because.", 20),
]
CONVERSATION = {
    "conversation_id": "c0", "user_id": "user0", "conversation_type": "unguided", "opening_prompt": "Where to?",
    "conversation_turns": 2, "conversation_history": HISTORY, "included_in_balanced_subset": True,
}  # fmt: skip
SURVEY = {
    "user_id": "user0", "age": "25-34 years old", "gender": "Female", "study_locale": "uk",
    "religion": {"self_described": "None", "categorised": "Non-religious", "simplified": "No Affiliation"},
    "location": {"birth_country": "Chad", "reside_country": "France"}, "self_description": "I like trains.",
}  # fmt: skip


def test_chosen_against_each_other_response_of_its_turn(write_lines):
    report = ReadReport()
    given = list(prism.FORMAT.read(write_lines(CONVERSATION, name="conversations.jsonl"), report))
    pairs = list(pairs_in(given))
    assert [(pair.pair_id, pair.chosen_text, pair.rejected_text) for pair in pairs] == [
        ("c0:0:0", "Oslo.", "Rome."),
        ("c0:1:1", "Fjords.", "Because."),
    ]
    assert [message.content for message in pairs[1].prompt] == ["Where to?", "Oslo.", "Why?"]
    assert [message.role for message in pairs[1].prompt] == ["user", "assistant", "user"]
    assert pairs[0].metadata == {
        "turn": 0, "conversation_id": "c0", "conversation_type": "unguided", "chosen_model": "best",
        "rejected_model": "m", "chosen_score": 90, "rejected_score": 40,
    }  # fmt: skip
    assert [pair.strength for pair in pairs] == [Strength(level=50, levels=99)] * 2
    assert report.reasons == {"a response is blank": 1}


def test_scores_are_ratings_and_the_order_of_a_turn_a_ranking_that_names_the_pairs_it_repeats(write_lines):
    path = write_lines(CONVERSATION, name="conversations.jsonl")
    said_so = read_feedback(path).feedback
    assert kinds_of(said_so) == {"rating": 5, "ranking": 1}
    (ranking,) = (it for it in said_so if isinstance(it, Ranking))
    assert ranking.groups == (("Oslo.", "Home."), ("Rome.",))
    assert ranking.instead_of == ("c0:0:0",)
    rated = {it.response: (it.value, it.instead_of) for it in said_so if isinstance(it, Rating)}
    assert rated["Home."] == (90, ("c0:0:0",))
    assert rated["Because."] == (20, ("c0:1:1",))


def test_two_responses_of_one_score_are_a_tie(write_lines):
    history = [said(0, "Where to?"), answer(0, 0, "Rome.", 40), answer(0, 1, "Oslo.", 40, True)]
    found = read_feedback(write_lines({**CONVERSATION, "conversation_history": history}))
    assert found.pairs == ()
    assert kinds_of(found.feedback) == {"rating": 2, "tie": 1}


def test_the_survey_beside_it_gives_the_profile(write_lines):
    write_lines(SURVEY, name="survey.jsonl")
    path = write_lines(
        CONVERSATION, {**CONVERSATION, "conversation_id": "c1", "user_id": "u9"}, name="conversations.jsonl"
    )
    profiles = {
        pair.user_id: pair.metadata.get("user_profile")
        for pair in read_pairs(path.parent, format="prism").pairs
    }
    assert profiles == {
        "user0": {
            "age": "25-34 years old", "gender": "Female", "study_locale": "uk", "religion": "No Affiliation",
            "location": "France",
        },
        "u9": None,
    }  # fmt: skip


def test_utterances_give_the_same_pairs(write_lines):
    utterances = [
        {
            "utterance_id": f"ut{index}", "interaction_id": f"int{turn['turn']}", "conversation_id": "c0",
            "user_id": "user0", "turn": turn["turn"], "within_turn_id": turn["within_turn_id"],
            "conversation_type": "unguided", "user_prompt": ("Where to?", "Why?")[turn["turn"]],
            "model_response": turn["content"], "model_name": turn["model_name"], "score": turn["score"],
            "if_chosen": turn["if_chosen"],
        }
        for index, turn in enumerate(HISTORY)
        if turn["role"] == "model"
    ]  # fmt: skip
    long_form = read_pairs(write_lines(*utterances, name="utterances.jsonl"), format="prism").pairs
    assert (
        long_form == read_pairs(write_lines(CONVERSATION, name="conversations.jsonl"), format="prism").pairs
    )
    assert prism.FORMAT.recognises(utterances[0])


def test_a_turn_that_was_not_decided_ends_the_conversation(write_lines):
    history = [said(0, "Where to?"), answer(0, 0, "Rome.", 40), answer(0, 1, "Oslo.", 90), *HISTORY[5:]]
    report = ReadReport()
    assert (
        list(prism.FORMAT.read(write_lines({**CONVERSATION, "conversation_history": history}), report)) == []
    )
    assert report.reasons == {"a turn without exactly one question and one chosen response": 1}


@pytest.mark.parametrize("history", [None, [{"turn": 0}], [{**said(0, "Hi"), "turn": "first"}]])
def test_malformed_conversations(history, write_lines):
    with pytest.raises(DataError, match=r":1: field 'conversation_history'"):
        read_pairs(write_lines({**CONVERSATION, "conversation_history": history}), format="prism")


def test_is_recognised_in_a_folder(write_lines, tmp_path):
    folder = write_lines(CONVERSATION, name="conversations.jsonl").parent
    write_lines(SURVEY, name="survey.jsonl")
    report = convert(folder, tmp_path / "out" / "pairs.jsonl")
    assert (report.format, report.rows_read, report.pairs_written) == ("prism", 1, 2)
