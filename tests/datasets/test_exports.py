"""Feedback as the tools export it that people give it in; texts are invented, shapes are the published ones."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from synthesizeme.datasets import formats, parse_scale, read_feedback
from synthesizeme.errors import DataError
from synthesizeme.feedback import THUMBS, Edit, Ranking, Rating, Tie, kinds_of
from synthesizeme.types import PreferencePair

FIVE = parse_scale("1..5")
ASKED, SHORT, LONG = "How deep is a fathom?", "Six feet.", "A fathom is a unit of length."


def only(rows, name, **options):
    """What one file says, once it is known as the format of this name alone."""
    assert [it for it, known in formats().items() if known.recognises(rows[0])] == [name]
    found = read_feedback(rows, **options)
    assert found.format == name
    return found


ARGILLA = {
    "id": "r1", "status": "completed", "fields": {"prompt": ASKED, "response": SHORT}, "metadata": {},
    "vectors": {}, "suggestions": {"rating": {"value": 2, "agent": "judge"}},
    "responses": {
        "rating": [{"value": 4, "user_id": "u1"}, {"value": 2, "user_id": "u2"}],
        "why": [{"value": "It is short and right.", "user_id": "u1"}],
    },
}  # fmt: skip


def test_argilla_ratings_have_the_reason_of_their_annotator_and_suggestions_are_nobodys():
    found = only([ARGILLA], "argilla", scale=FIVE).feedback
    assert [(it.user_id, it.value, it.reason, it.aspect) for it in found if isinstance(it, Rating)] == [
        ("u1", 4, "It is short and right.", None),
        ("u2", 2, None, None),
    ]


def test_argilla_ratings_without_a_scale_are_refused_with_the_flag_that_says_it():
    with pytest.raises(DataError, match=r"it is not said what ratings could be given.*--scale 1..5"):
        read_feedback([ARGILLA])


def test_several_ratings_of_one_annotator_are_of_aspects():
    row = {**ARGILLA, "responses": {name: [{"value": 3, "user_id": "u"}] for name in ("tone", "length")}}
    found = only([row], "argilla", scale=FIVE).feedback
    assert [it.aspect for it in found if isinstance(it, Rating)] == ["tone", "length"]


TWO = {"prompt": ASKED, "response-1": SHORT, "response-2": LONG}


@pytest.mark.parametrize(
    "row",
    [
        {"fields": TWO, "responses": [
            {"user_id": "u", "status": "submitted", "values": {
                "order": {"value": [{"value": "response-2", "rank": 2}, {"value": "response-1", "rank": 1}]}}},
            {"user_id": "v", "status": "discarded", "values": {"order": {"value": []}}}]},
        {**TWO, "external_id": "x", "order": [
            {"user_id": "u", "status": "submitted", "value": [{"value": "response_1", "rank": 1},
                                                              {"value": "response_2", "rank": 2}]},
            {"user_id": "v", "status": "draft", "value": []}]},
        {**TWO, "order.responses": [["response-1", "response-2"], ["response-2", "response-1"]],
         "order.responses.users": ["u", "v"], "order.responses.status": ["submitted", "draft"]},
    ],
)  # fmt: skip
def test_argilla_in_its_older_and_flatter_shapes_and_a_ranking_of_two_is_a_pair(row):
    found = only([row], "argilla")
    assert [(it.user_id, it.chosen_text) for it in found.pairs] == [("u", SHORT)]
    assert found.reasons == {"an answer that was not submitted": 1}


def test_argilla_rankings_with_equal_ranks_are_in_groups_and_one_with_a_gap_is_refused():
    fields = {**TWO, "response-3": "Deep."}

    def ranked(*ranks):
        order = [{"value": f"response-{at}", "rank": rank} for at, rank in enumerate(ranks, start=1)]
        return [{"fields": fields, "responses": {"order": [{"value": order, "user_id": "u"}]}}]

    for ranks in ((1, 1, 2), (1, 1, 3)):
        (found,) = only(ranked(*ranks), "argilla").feedback
        assert isinstance(found, Ranking)
        assert found.groups == ((SHORT, LONG), ("Deep.",))
    assert read_feedback([*ranked(1, 2, 3), *ranked(1, 1, 1)], user_id="u").reasons == {
        "all responses are ranked alike": 1
    }
    with pytest.raises(DataError, match=r"field 'ranks': found \[1, 2, 4\]; rank 3 is left out.*1, 2, 3"):
        read_feedback(ranked(1, 2, 4))
    with pytest.raises(DataError, match="expected a whole number from 1, the best"):
        read_feedback(ranked(0, 1, 2))


def test_argilla_texts_about_one_response_are_edits_and_labels_choices():
    rewritten = {**ARGILLA, "responses": {"better": [{"value": "A fathom is six feet.", "user_id": "u"}]}}
    same = {**ARGILLA, "responses": {"better": [{"value": f"{SHORT} ", "user_id": "v"}, {"value": "Six feet. Yes.",
                                                                                     "user_id": "w"}]}}  # fmt: skip
    found = only([rewritten, same], "argilla")
    assert [it.edited for it in found.feedback if isinstance(it, Edit)] == [
        "A fathom is six feet.",
        "Six feet. Yes.",
    ]
    assert found.reasons == {"the edit changes nothing": 1}
    label = {"fields": TWO, "responses": {"best": [{"value": "response-2", "user_id": "u"},
                                                   {"value": "tie", "user_id": "v"}]}}  # fmt: skip
    found = only([label], "argilla")
    assert found.pairs[0].chosen_text == LONG
    assert isinstance(found.feedback[0], Tie)


def task(*results, data=None, **changes):
    annotation = {"id": 7, "completed_by": {"id": 1, "email": "ada@example.org"}, "was_cancelled": False,
                  "created_at": "2024-05-01T10:00:00Z", "result": list(results), **changes}  # fmt: skip
    return {"id": 1, "data": data or {"prompt": ASKED, "response": SHORT}, "annotations": [annotation]}


def result(name, kind, **value):
    return {"from_name": name, "to_name": "response", "type": kind, "value": value}


def test_label_studio_stars_and_the_text_that_says_why():
    rows = [task(result("stars", "rating", rating=4), result("why", "textarea", text=["Short."]))]
    (found,) = only(rows, "label-studio", scale=FIVE).feedback
    assert isinstance(found, Rating)
    assert (found.user_id, found.value, found.reason) == ("ada@example.org", 4, "Short.")
    assert found.created_at == datetime(2024, 5, 1, 10, tzinfo=UTC)


def test_label_studio_pairwise_ranker_and_thumbs():
    two = {"prompt": ASKED, "response1": SHORT, "response2": LONG}
    pair = only([task(result("pw", "pairwise", selected="right"), data=two)], "label-studio").pairs[0]
    assert pair.chosen_text == LONG
    items = [{"id": name, "title": name, "body": f"Answer {name}."} for name in "abc"]
    ranker = result("order", "ranker", ranker={"best": ["b", "a", "c"]})
    data = {"prompt": ASKED, "items": items}
    (ranking,) = only([task(ranker, data=data)], "label-studio").feedback
    assert isinstance(ranking, Ranking)
    assert ranking.responses == ("Answer b.", "Answer a.", "Answer c.")
    thumb = task(result("ok", "choices", choices=["Good"]), result("box", "rectanglelabels", x=1))
    skipped = task(was_cancelled=True)
    found = only([thumb, skipped], "label-studio")
    assert kinds_of(found.feedback) == {"thumb": 1}
    assert found.reasons == {
        "a result that says nothing of a response": 1,
        "an annotation that was skipped": 1,
    }


def open_webui(**data):
    messages = {
        "m1": {"id": "m1", "parentId": None, "childrenIds": ["m2", "m3"], "role": "user", "content": ASKED},
        "m2": {"id": "m2", "parentId": "m1", "childrenIds": [], "role": "assistant", "content": SHORT},
        "m3": {"id": "m3", "parentId": "m1", "childrenIds": [], "role": "assistant", "content": LONG},
    }
    return {
        "id": "f1", "user_id": "u1", "version": 0, "type": "rating", "created_at": 1714557600,
        "updated_at": 1714557600,
        "data": {"rating": 1, "model_id": "m", "sibling_model_ids": ["n"], "reason": "accurate_information",
                 "comment": "", "tags": [], **data},
        "meta": {"arena": False, "chat_id": "c1", "message_id": "m2", "message_index": 1},
        "snapshot": {"chat": {"id": "c1", "user_id": "u1", "chat": {"history": {
            "messages": messages, "currentId": "m3"}}}},
    }  # fmt: skip


def test_open_webui_thumbs_have_the_chat_that_led_to_them_and_are_no_choice_between_models():
    found = only([open_webui(comment="Only what I asked.", details={"rating": 9})], "open-webui")
    thumb, mark = found.feedback
    assert found.pairs == ()
    assert isinstance(thumb, Rating)
    assert isinstance(mark, Rating)
    assert (thumb.prompt[0].content, thumb.response, thumb.scale, thumb.value) == (ASKED, SHORT, THUMBS, 1)
    assert (mark.value, mark.scale.highest) == (9, 10)
    assert thumb.reason == "Only what I asked."
    assert thumb.created_at == datetime(2024, 5, 1, 10, tzinfo=UTC)
    assert thumb.metadata["siblings"] == ["n"]


def test_open_webui_ticked_reasons_stand_in_for_a_comment_and_what_has_no_chat_is_counted():
    down = {**open_webui(rating=-1), "id": "f2"}
    lost = {**open_webui(), "id": "f3", "snapshot": None}
    unrated = {**open_webui(rating=None), "id": "f4"}
    found = only([down, lost, unrated], "open-webui")
    assert [(it.value, it.reason) for it in found.feedback if isinstance(it, Rating)] == [
        (0, "accurate information")
    ]
    assert found.reasons == {"the answer that is rated does not stand in the export": 1, "no rating": 1}


def assessment(name, value, **changes):
    return {"assessment_id": f"a-{name}", "assessment_name": name, "trace_id": "tr-1", "rationale": "Short.",
            "source": {"source_type": "HUMAN", "source_id": "ada"}, "feedback": {"value": value},
            "create_time": "2024-05-01T10:00:00Z", **changes}  # fmt: skip


def trace(*assessments, nested=False):
    request = json.dumps({"messages": [{"role": "user", "content": ASKED}]})
    response = json.dumps({"choices": [{"message": {"role": "assistant", "content": SHORT}}]})
    if nested:
        return {"info": {"trace_id": "tr-1", "assessments": list(assessments)},
                "data": {"request": request, "response": response, "spans": []}}  # fmt: skip
    return {"trace_id": "tr-1", "request": request, "response": response, "assessments": list(assessments)}


@pytest.mark.parametrize("nested", [False, True])
def test_mlflow_assessments_of_people_with_their_rationale(nested):
    judge = assessment("safe", True, source={"source_type": "LLM_JUDGE", "source_id": "gpt"})
    old = assessment("old", True, assessment_id="a-0")
    new = assessment("helpful", False, overrides="a-0")
    found = only([trace(judge, old, new, nested=nested)], "mlflow")
    (thumb,) = found.feedback
    assert isinstance(thumb, Rating)
    assert (thumb.prompt[0].content, thumb.response, thumb.value) == (ASKED, SHORT, 0)
    assert (thumb.user_id, thumb.reason, thumb.feedback_id) == ("ada", "Short.", "a-helpful")
    assert found.reasons == {
        "an assessment that no person gave": 1, "an assessment that was overridden": 1,
    }  # fmt: skip


def test_mlflow_numbers_are_ratings_of_aspects_where_there_are_several_and_expectations_edits():
    expected = assessment("expected_response", None, expectation={"value": "6 ft."})
    del expected["feedback"]
    rows = [trace(assessment("tone", 4), assessment("length", 2), expected, assessment("words", ["a"]))]
    found = only(rows, "mlflow", scale=FIVE)
    assert [(it.aspect, it.value) for it in found.feedback if isinstance(it, Rating)] == [
        ("tone", 4),
        ("length", 2),
    ]
    assert [it.edited for it in found.feedback if isinstance(it, Edit)] == ["6 ft."]
    assert found.reasons == {"an assessment that is no thumb, number or expected response": 1}


def test_ultrafeedback_scores_are_ratings_by_gpt4_and_no_pairs():
    completions = [{"model": model, "response": text, "overall_score": score, "critique": "Clear.",
                    "fine-grained_score": 4.0, "annotations": {}}
                   for model, text, score in (("m", SHORT, 8.5), ("n", LONG, 3.0))]  # fmt: skip
    row = {"source": "s", "instruction": ASKED, "models": ["m", "n"], "completions": completions}
    found = only([row], "rated-completions", user_id="gpt")
    first = found.feedback[0]
    assert isinstance(first, Rating)
    assert (found.pairs, kinds_of(found.feedback), first.simulated) == ((), {"rating": 2}, True)
    assert (first.level, first.scale.levels, first.reason) == (16, 19, "Clear.")


def test_lists_of_scored_or_ranked_responses_by_people():
    row = {"user_id": "ada", "prompt": ASKED, "responses": [{"text": SHORT, "score": 5}, {"text": LONG}]}
    found = only([row], "rated-completions", scale=FIVE)
    assert [it.simulated for it in found.feedback] == [False]
    assert found.reasons == {"a response without a score": 1}
    ranked = [{"text": SHORT, "rank": 2}, {"text": LONG, "rank": 1}, {"text": "Deep.", "rank": 3}]
    (ranking,) = only([{**row, "responses": ranked}], "rated-completions").feedback
    assert isinstance(ranking, Ranking)
    assert ranking.responses == (LONG, SHORT, "Deep.")


COMMUNITY = {
    "conversation_id": 7, "assigned_lang": "en", "annotator_id": 31, "annotator_age": "18-34",
    "first_turn_prompt": "Where to?", "first_turn_response_a": "Rome.", "first_turn_response_b": "Oslo.",
    "first_turn_response_c": "Oslo.", "first_turn_response_d": "Home.<|end_of_text|>",
    "first_turn_preferred_response": "response_b", "first_turn_feedback": "It is cool there.",
    "second_turn_prompt": "Why?", "second_turn_response_a": "Fjords.", "second_turn_response_b": "Because.",
    "second_turn_preferred_response": "response_a", "second_turn_feedback": "", "third_turn_prompt": None,
}  # fmt: skip


def test_community_alignment_gives_pairs_with_reasons_and_the_best_of_several_instead_of_them():
    found = only([COMMUNITY], "community-alignment")
    assert [(it.pair_id, it.chosen_text, it.rejected_text, it.reason) for it in found.pairs] == [
        ("7:first:a", "Oslo.", "Rome.", "It is cool there."),
        ("7:first:d", "Oslo.", "Home.", "It is cool there."),
        ("7:second:b", "Fjords.", "Because.", None),
    ]
    assert [turn.content for turn in found.pairs[2].prompt] == ["Where to?", "Oslo.", "Why?"]
    (best,) = found.feedback
    assert isinstance(best, Ranking)
    assert (len(best.groups), best.groups[0], best.user_id) == (2, ("Oslo.",), "31")
    assert best.instead_of == ("7:first:a", "7:first:d")
    assert found.reasons == {"both responses are the same text": 1}


def test_community_alignment_with_a_choice_of_nothing_is_refused():
    with pytest.raises(DataError, match=r"first_turn_preferred_response.*found 'response_e'"):
        read_feedback([{**COMMUNITY, "first_turn_preferred_response": "response_e"}])
    assert all(isinstance(it, PreferencePair) for it in read_feedback([COMMUNITY]).pairs)
