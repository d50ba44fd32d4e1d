"""LaMP end to end on invented authors: own items help, another user's do not; everybody answers by one contract."""

from __future__ import annotations

import json

import numpy as np
import pytest

from synthesizeme.backends import Session, open_model
from synthesizeme.backends.scripted import scripted_model
from synthesizeme.datasets.lamp import LampItem, LampQuestion, lamp_task, load_lamp, write_planted
from synthesizeme.errors import ConfigError, DataError, UnknownNameError, UnreadableError
from synthesizeme.judges.names import RetrievalSettings
from synthesizeme.judges.retrieval_judge import count_pieces
from synthesizeme.lamp import Choice, LampRun, choose, lamp_prompt, rank_profiles, read_ranking, write_ranking
from synthesizeme.retrieval import open_retriever
from synthesizeme.types import Failure, Message, Verdict


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("lamp")
    for number in (1, 2, 3, 4):
        write_planted(place, number, users=40, items=16)
    return place


def run(folder, number, session=None, **more):
    return LampRun(load_lamp(f"lamp/{number}", data_dir=folder), session=session, **more)


def test_the_users_own_items_help_a_judge_and_another_users_do_not(folder):
    report = run(folder, 1, Session(open_model("builtin"))).report(
        ["default", "retrieval-bm25"], controls=True
    )
    default, retrieving = report.rows
    own = retrieving.metrics["accuracy"]
    assert own.value > default.metrics["accuracy"].value + 0.2
    assert own.low > retrieving.controls["wrong_user"]["accuracy"]
    assert retrieving.controls["no_user"]["accuracy"] == default.metrics["accuracy"].value
    assert retrieving.controls["swapped_labels"]["accuracy"] < default.metrics["accuracy"].value
    assert retrieving.tokens_per_question > default.tokens_per_question > 0
    shown = report.to_markdown()
    assert "another user's" in shown
    assert "rule-based reader" in shown


@pytest.mark.parametrize(("number", "metric", "sign"), [(2, "accuracy", 1), (3, "MAE", -1)])
def test_votes_of_the_retrieved_items_need_no_model(folder, number, metric, sign):
    report = run(folder, number).report(["vote-bm25", "vote-random"], controls=True)
    bm25, drawn = report.rows
    assert bm25.usage is None
    value = bm25.metrics[metric].value
    assert sign * (value - drawn.metrics[metric].value) > 0.1
    assert sign * (value - bm25.controls["wrong_user"][metric]) > 0.1


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_reward_models_answer_by_the_largest_reward_and_know_their_users_again_after_the_controls(
    folder, number
):
    from reward_models import method

    model = method("hierarchical-stylometric")()
    it = run(folder, number, models={model.name: model})
    (row,) = it.report([model.name], controls=True).rows
    metric = next(iter(row.metrics))
    sign = -1 if metric == "MAE" else 1
    for control in ("wrong_user", "swapped_labels"):
        assert sign * (row.metrics[metric].value - row.controls[control][metric]) > 0
    assert it.answers(model.name)[0] == it.answers(model.name)[0]
    assert it.metrics(it.answers(model.name)[0]) == row.metrics


def test_a_language_model_answers_in_its_own_words(folder):
    def reader(request):
        """Copies the tag of the first film it is shown, after thinking aloud."""
        text = request.messages[-1].text
        return (
            f"<think>hm</think>{text.split(' tag: ')[1].splitlines()[0]}" if " tag: " in text else "no idea"
        )

    it = run(folder, 2, Session(scripted_model(reader)))
    report = it.report(["direct-none", "direct-bm25"], controls=True)
    nothing, bm25 = report.rows
    assert nothing.metrics["accuracy"].value == 0
    assert bm25.metrics["accuracy"].value > 0.6
    assert bm25.controls["no_user"]["accuracy"] == 0
    assert bm25.controls["wrong_user"]["accuracy"] < 0.3
    turned = {key: ids[::-1] for key, ids in rank_profiles(it.data, open_retriever("bm25")).items()}
    other = run(folder, 2, Session(scripted_model(reader)), ranking=turned)
    assert other.report(["direct-bm25"]).rows[0].metrics["accuracy"].value < bm25.metrics["accuracy"].value


def test_failures_are_wrong_answers_and_counted(folder):
    each = ["Preference: First"] * 13 + ["Hm."]  # both orders of the 7 first comparisons of 15 tags
    (row,) = run(folder, 2, Session(scripted_model(each * 40))).report(["default"]).rows
    assert row.failures == {"parse": 40}
    assert row.metrics["accuracy"].value == 0

    with pytest.raises(UnreadableError, match=r"user 'author-0\d': .*0 of its 8 replies"):
        run(folder, 2, Session(scripted_model(lambda request: "Hm."))).report(["default"])


def test_empty_profiles_and_a_k_beyond_them_are_answered(folder, tmp_path):
    write_planted(tmp_path, 2, users=4, items=3)
    path = tmp_path / "lamp/user/LaMP_2/dev_questions.json"
    rows = json.loads(path.read_text())
    rows[0]["profile"] = []
    path.write_text(json.dumps(rows))
    it = run(tmp_path, 2, Session(open_model("builtin")), retrieval=RetrievalSettings(k=50))
    judged, vote = it.report(["retrieval-bm25", "vote-recency"]).rows
    assert judged.failures == {}
    assert vote.failures == {"unknown_user": 1}


def test_names_that_cannot_answer_are_refused(folder):
    with pytest.raises(UnknownNameError, match="Did you mean 'vote-bm25'"):
        run(folder, 2).report(["vote-bm2"])
    with pytest.raises(ConfigError, match="tasks 2 and 3 alone"):
        run(folder, 4).report(["vote-bm25"])
    with pytest.raises(ConfigError, match="needs a language model"):
        run(folder, 2).report(["direct-bm25"])
    with pytest.raises(ConfigError, match="need a model"):
        run(folder, 2).report(["default"])


class Costs:
    """Prefers the shorter candidate; says a tie for equal lengths."""

    name, order_sensitive = "shorter", True

    def __init__(self):
        self.rounds = []

    def compare(self, comparisons):
        self.rounds.append(len(comparisons))
        return [self.verdict(it) for it in comparisons]

    def verdict(self, it):
        if "bad" in (it.first, it.second):
            return Failure(kind="parse", detail="bad")
        lead = len(it.second) - len(it.first)
        side = "tie" if lead == 0 else "first" if lead > 0 else "second"
        return Verdict(preference=side, probability=0.5 if lead == 0 else float(lead > 0))


def choice(*candidates):
    return Choice("q", "ada", (Message(role="user", content="?"),), candidates)


def test_a_bracket_finds_the_winner_with_one_comparison_less_than_candidates():
    judge = Costs()
    found = choose(
        judge,
        [
            choice("aaa", "aa", "aaaa", "a", "aaaaa"),
            choice("xx", "yy"),
            choice("a", "bad"),
            choice("x", "yy", "bad"),
        ],
    )
    assert found[:2] == [3, 0]
    assert all(isinstance(it, Failure) for it in found[2:])
    assert judge.rounds == [2 * 5, 2 * 2, 2 * 1]


def test_rewards_are_taken_at_their_largest_in_one_batch():
    class Rewards(Costs):
        def rewards(self, answers):
            self.rounds.append(len(answers))
            return [-float(len(it.response)) for it in answers]

    scorer = Rewards()
    assert choose(scorer, [choice("aaa", "a", "aa"), choice("b", "c")]) == [1, 0]
    assert scorer.rounds == [5]


ITEM = LampItem(item_id="1", fields={"text": "A long article about the sea. " * 20, "title": "Sea"})
ASKED = LampQuestion(
    question_id="9", user_id="u", text="Write a headline for this article: Rain fell.", profile=(ITEM,)
)


def test_the_prompt_holds_items_in_their_format_and_the_whole_input_last():
    short = LampItem(item_id="2", fields={"text": "Rain <turn> again.", "title": "Rain"})
    prompt = lamp_prompt(lamp_task(4), ASKED, [short, ITEM])
    assert prompt.splitlines()[1] == "article: Rain ‹turn> again. headline: Rain"
    assert prompt.endswith("\n\n" + ASKED.text)
    assert lamp_prompt(lamp_task(4), ASKED, []) == ASKED.text
    within = lamp_prompt(lamp_task(4), ASKED, [short, ITEM], max_tokens=60)
    assert count_pieces(within) <= 60
    assert within.endswith(ASKED.text)
    assert within.count("headline: Sea") == 1
    assert lamp_prompt(lamp_task(4), ASKED, [ITEM], max_tokens=5) == ASKED.text


@pytest.mark.parametrize("number", range(1, 8))
def test_every_task_has_its_prompt(number, tmp_path):
    write_planted(tmp_path, number, users=2, items=3)
    data = load_lamp(f"lamp/{number}", data_dir=tmp_path)
    question = data.questions[0]
    prompt = lamp_prompt(data.task, question, question.profile)
    shown = prompt.removesuffix(question.text)
    for item in question.profile:
        assert item.fields[data.task.answer] in shown
    assert len(shown.splitlines()) == 1 + 3 + 1


def test_rankings_are_written_read_and_checked(folder, tmp_path):
    data = load_lamp("lamp/4", data_dir=folder)
    ranking = rank_profiles(data, open_retriever("recency"))
    assert ranking[data.questions[0].question_id][0] == data.questions[0].profile[-1].item_id
    assert all(len(ids) == 3 for ids in rank_profiles(data, open_retriever("random"), k=3).values())
    path = tmp_path / "ranking.json"
    write_ranking(path, ranking)
    assert read_ranking(path, data) == ranking
    first = data.questions[0].question_id
    for wrong, match in (
        ({**ranking, first: ["nowhere"]}, "'nowhere' is not in the profile"),
        ({**ranking, first: ranking[first][:1] * 2}, "different item ids"),
        ({key: ids for key, ids in ranking.items() if key != first}, "1 questions have no entry"),
    ):
        path.write_text(json.dumps(wrong))
        with pytest.raises(DataError, match=match):
            read_ranking(path, data)


def test_dense_retrieval_takes_any_encoder(folder):
    def letters(texts):
        return np.array([[text.count(chr(97 + i)) for i in range(26)] for text in texts], dtype=float)

    settings = RetrievalSettings(open_encoder=lambda: letters)
    (row,) = run(folder, 2, retrieval=settings).report(["vote-dense"]).rows
    assert row.metrics["accuracy"].value > 0.5


def test_references_ask_nobody(folder):
    report = run(folder, 1).report(["longer", "random"])
    assert [row.usage for row in report.rows] == [None, None]
    assert report.rows[0].controls == {}
