"""A judge in place of a checkpoint: the same path, adapters and server, and nothing but statuses for failures."""

from __future__ import annotations

import threading

import pytest
from invented import ledger, pair

from synthesizeme.errors import BackendError, ConfigError, DataError, UnknownUserError
from synthesizeme.judges.rating import JudgeRewards, strength
from synthesizeme.profile import Persona, PersonaSentence, UserProfile
from synthesizeme.scoring import as_answers
from synthesizeme.serving.opening import (
    MODEL_VARIABLE,
    PROFILES_VARIABLE,
    SETTING_VARIABLES,
    JudgeSpec,
    open_rewards,
    opened,
    read_spec,
)
from synthesizeme.serving.openrlhf import reward_func
from synthesizeme.serving.rewards import RewardQuestion, ScalarRewards
from synthesizeme.serving.settings import Settings
from synthesizeme.serving.trl import reward_function
from synthesizeme.serving.verl import compute_score
from synthesizeme.types import Comparison, Message

SHORT, LONG = "Six feet.", "Well, let me see. " + "It is deep, I would say, and wide. " * 12


def taste(user, number, split=None):
    """ada chooses short answers, bob long ones."""
    short, long = (
        f"Six feet, number {number}.",
        f"Number {number}. " + "It is deep, I would say, and wide. " * 9,
    )
    chosen, rejected = (short, long) if user == "ada" else (long, short)
    return pair(number, user=user, chosen=chosen, rejected=rejected, split=split)


PAIRS = [taste(user, number) for user in ("ada", "bob") for number in range(6)]
PROMPT = pair(0).prompt


def questions(*responses, user="ada"):
    return [RewardQuestion(user, PROMPT, response) for response in responses]


@pytest.fixture
def store(tmp_path):
    """A store with pairs of ada and bob, and a persona of cyd in words alone."""
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="the store of profiles needs the extra `store`")
    assert sqlalchemy
    from synthesizeme.profiles import open_store

    path = tmp_path / "users.db"
    words = (PersonaSentence(text="The user strongly prefers short, concise answers."),)
    with open_store(str(path), create=True) as opened_store:
        for user in ("ada", "bob"):
            opened_store.add_pairs(user, [it for it in PAIRS if it.user_id == user])
        persona = Persona(sentences=words, made_by="hand", prompt_id="none")
        opened_store.put_profile(UserProfile(user_id="cyd", persona=persona), made_from="hand")
    return str(path)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("judge:builtin", JudgeSpec("builtin")),
        ("judge:openai/gpt-4o@2024", JudgeSpec("openai/gpt-4o@2024")),
        ("judge:llama@http://127.0.0.1:8000/v1", JudgeSpec("llama", "http://127.0.0.1:8000/v1")),
        (
            "judge:a/b@https://h/v1?choices=2&concurrency=64",
            JudgeSpec("a/b", "https://h/v1", 2, 64),
        ),
    ],
)
def test_a_judge_is_named_in_one_line(text, spec):
    assert read_spec(text) == spec


@pytest.mark.parametrize("text", ["judge:", "judge:x?choices=0", "judge:x?each=true", "judge:x?depth=3"])
def test_a_judge_that_is_named_wrongly_is_refused(text):
    with pytest.raises(ConfigError, match="judge:"):
        open_rewards(text)


def test_trl_takes_a_judge_by_name_with_the_users_of_a_store(store):
    rewards = reward_function("judge:builtin", profiles=store)
    users = ["ada", "ada", "bob", "bob", "cyd", "cyd", "dan"]
    texts = [SHORT, LONG, SHORT, LONG, SHORT, LONG, SHORT]
    found = rewards(["How deep?"] * 7, texts, user_id=users)
    assert found[0] > found[1]
    assert found[2] < found[3]
    assert found[4] > found[5]
    assert found[6] is None
    assert dict(rewards.counts) == {"ok": 6, "unknown_user": 1}


def test_verl_takes_a_judge_by_name_and_the_environment_names_the_store(store, monkeypatch):
    monkeypatch.setenv(PROFILES_VARIABLE, store)
    said = [
        compute_score("x", text, None, {"prompt": "How deep?", "user_id": "ada"}, model="judge:builtin")
        for text in (SHORT, LONG)
    ]
    assert said[0]["score"] > said[1]["score"]
    assert [it["scored"] for it in said] == [1, 1]
    with pytest.raises(UnknownUserError, match="dan"):
        compute_score("x", SHORT, None, {"prompt": "How deep?", "user_id": "dan"}, model="judge:builtin")
    assert opened("judge:builtin") is opened("judge:builtin")


def test_a_judge_that_knows_nobody_is_refused_by_every_loop_unless_the_population_answers(monkeypatch):
    nobody = "judge:builtin knows no user.*Cure: name a store"
    with pytest.raises(ConfigError, match=nobody):
        reward_function("judge:builtin")
    with pytest.raises(ConfigError, match=nobody):
        compute_score("x", SHORT, None, {"prompt": "How?", "user_id": "ada"}, model="judge:builtin")
    monkeypatch.setenv(MODEL_VARIABLE, "judge:builtin")
    with pytest.raises(ConfigError, match=nobody):
        reward_func(["How?" + SHORT], ["How?"], ["ada"])
    monkeypatch.setenv(SETTING_VARIABLES["unknown_user"], "population")
    (answered,) = reward_func(["How?" + SHORT], ["How?"], ["ada"])["extra_logs"]["population"]
    assert float(answered) == 1
    assert reward_function("judge:builtin", unknown_user="population")(["How?"], [SHORT], user_id=["ada"])[0]


def test_a_store_that_is_empty_or_not_there_knows_nobody_either(tmp_path):
    pytest.importorskip("sqlalchemy")
    from synthesizeme.profiles import open_store

    absent = tmp_path / "absent.db"
    with pytest.raises(DataError, match=r"absent\.db"):
        reward_function("judge:builtin", profiles=str(absent))
    assert not absent.exists()
    open_store(str(tmp_path / "empty.db"), create=True).close()
    with pytest.raises(ConfigError, match="knows no user"):
        reward_function("judge:builtin", profiles=str(tmp_path / "empty.db"))


def test_a_failed_rating_is_a_status_and_the_population_answers_where_it_may():
    def script(request):
        text = request.messages[-1].text
        mine = "<past_choice" in text
        return "No idea." if "Bad." in text and (mine or "Worst" in text) else "Rating: 40"

    model = JudgeRewards(ledger(script).session).fit(PAIRS)
    rewards = ScalarRewards(model)
    good, bad, worst = rewards.score(questions("Good.", "Bad.", "Worst. Bad."))
    assert (good.status, good.scored) == ("ok", 1)
    assert (bad.status, bad.scored) == ("error", 0)
    assert bad.value == pytest.approx(good.value)
    assert (worst.status, worst.value, worst.probability) == ("error", None, None)
    assert "parse" in str(worst.error)
    assert dict(rewards.counts) == {"ok": 1, "error": 2}


def test_a_judge_stands_on_the_floor_however_it_is_asked():
    model = open_rewards("judge:builtin").fit(PAIRS)
    prompt = (Message(role="user", content="How deep is the harbour of the old town?"),)
    texts = ["It is about four metres deep.", prompt[-1].content]
    answer, echo = model.score(as_answers([prompt] * 2, texts, ["ada"] * 2))
    assert answer.floor > -0.5
    assert echo.value == echo.taste + echo.floor
    assert echo.floor < -2 * strength(1.0).value, "no rating makes up for it"
    (verdict,) = model.compare(
        [Comparison(pair_id="p", user_id="ada", prompt=prompt, first=texts[1], second=texts[0])]
    )
    assert verdict.preference == "second"
    assert verdict.floors == pytest.approx((echo.floor, answer.floor))
    assert verdict.margin == pytest.approx(echo.value - answer.value)
    bare = ScalarRewards(model, Settings(floor="none"))
    (found,) = bare.score([RewardQuestion("ada", prompt, texts[1])])
    assert (found.value, found.floor) == (echo.taste, 0)
    assert bare.fallen(found) == 0


def test_a_judge_without_a_standing_has_no_unit_to_stand_on():
    model = JudgeRewards(ledger(["Rating: 40"] * 9).session).fit(PAIRS)
    assert model.stand_on("none").standing is None
    with pytest.raises(ConfigError, match="stands on nothing"):
        model.stand_on("base")


def test_a_model_out_of_reach_is_asked_once_and_not_for_every_row():
    class Gone(JudgeRewards):
        asked = 0

        def score(self, *rows):
            Gone.asked += 1
            raise BackendError("no connection can be made. Cure: start it")

    model = Gone(ledger([]).session).fit(PAIRS)
    found = ScalarRewards(model, Settings(on_error="population")).scores(questions(*map(str, range(40))))
    assert {(it.status, it.value) for it in found} == {("error", None)}
    assert Gone.asked == 2


def test_the_server_serves_a_judge_and_learns_from_pairs_at_once(store, serve):
    from synthesizeme.profiles import StoredProfiles, open_store

    users = open_store(store)
    live = serve(open_rewards("judge:builtin", lambda: StoredProfiles(users)), store=users)

    def value(user, text):
        return live.post("/v1/score", {"user_id": user, "prompt": "How deep?", "response": text}).json()

    assert value("ada", SHORT)["value"] > value("ada", LONG)["value"]
    assert value("cyd", SHORT)["value"] > value("cyd", LONG)["value"]
    assert value("dan", SHORT)["status"] == "unknown_user"
    rows = [
        {"pair_id": f"d{number}", "prompt": "How?", "chosen": it.chosen_text, "rejected": it.rejected_text}
        for number, it in enumerate(PAIRS[6:])
    ]
    assert live.post("/v1/users/dan/pairs", {"pairs": rows}).json()["added"] == 6
    assert value("dan", SHORT)["value"] < value("dan", LONG)["value"]
    assert live.client.get("/readyz").json()["model"] == "judge-rating"


def test_a_model_that_waits_is_never_run_between_requests(store, serve):
    """Refusals are quick, but the next batch may ask a language model."""
    live = serve(open_rewards("judge:builtin"))
    row = {"user_id": "nobody", "prompt": "How deep?", "response": SHORT}
    for _ in range(3):
        assert live.post("/v1/score", row).json()["status"] == "unknown_user"
    names = []
    live.rewards.model.score = lambda *rows: names.append(threading.current_thread().name) or []
    live.endpoints.users.model.users_["nobody"] = UserProfile(user_id="nobody")
    live.post("/v1/score", row)
    assert names[0].startswith("model")


def test_the_application_of_a_judge_knows_the_users_of_its_store(store):
    from synthesizeme.serving.workers import ServerOptions, application

    app = application(ServerOptions(model="judge:builtin?choices=2", profiles=store))
    known = app.state.endpoints.users.model.users_
    assert set(known) == {"ada", "bob", "cyd"}
    assert len(known["ada"].demonstrations) == 2
