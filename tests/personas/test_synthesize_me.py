"""The whole induction: its economy, its budgets, that it repeats itself, and what it does with too little."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import re

import pytest
from invented import ledger, pair, sent

from synthesizeme.backends import Model, RetryPolicy, Session, open_model
from synthesizeme.backends.scripted import ScriptedEngine, scripted_model
from synthesizeme.datasets import assign_splits
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.errors import BackendError, ConfigError, DataError, UnknownNameError
from synthesizeme.personas import SynthesizeMe
from synthesizeme.personas.budget import EFFORTS, call_limit
from synthesizeme.personas.judging_profile import load_profile
from synthesizeme.profile import UserProfile
from synthesizeme.types import ORDERS


def history(count, *, n_validation=None, seed=5, user=0):
    """`count` planted train and validation pairs of one user, a quarter for validation, and two test pairs."""
    population = planted_population(user + 1, count + 2, seed=seed)
    held = count // 4 if n_validation is None else n_validation
    splits = ["train"] * (count - held) + ["validation"] * held + ["test"] * 2
    pairs = population.by_user[f"planted-{user:05d}"]
    return [p.model_copy(update={"split": s}) for p, s in zip(pairs, splits, strict=True)]


@pytest.fixture
def builtin():
    with Session(open_model("builtin")) as session:
        yield session


def capricious(request):
    """A model with opinions that follow from nothing but a hash; sometimes it fails, refuses or babbles."""
    text = request.messages[-1].text
    coin = hashlib.sha256(text.encode()).digest()[0]
    if "<pair " in text:
        return "The user prefers short answers. [1]\nThe user dislikes lists. [2, 1]"
    if coin < 12:
        return "I'm sorry, I can't judge this."
    if coin < 24:
        return "Both are nice."
    return (
        f"Reasoning: number {coin} says so.\nPreference: {'First' if coin % 2 else 'Second'}\nConfidence: 70"
    )


class Waits:
    """An asynchronous engine that answers like `script` after a random wait."""

    def __init__(self, script, seed):
        self.inner, self.latency, self.finished = ScriptedEngine(script), random.Random(seed), []

    async def complete(self, request):
        await asyncio.sleep(self.latency.random() / 300)
        self.finished.append(request.messages[-1].text)
        return self.inner.complete(request)

    async def aclose(self):
        pass


def waiting_model(script, seed):
    import dspy

    engine = Waits(script, seed)
    lm = dspy.LM(
        "scripted/replies", engine=engine.inner, async_engine=engine, cache=False, num_retries=0
    )  # fmt: skip
    return Model(lm, "scripted", "fixed replies, not a language model", asynchronous=True), engine


# --- economy


@pytest.mark.parametrize(("count", "most"), [(10, 6), (20, 5), (40, 4)])
@pytest.mark.parametrize("user", range(4))
def test_calls_per_pair_at_default_effort(builtin, count, most, user):
    usage = SynthesizeMe(builtin).fit(history(count, user=user)).provenance.usage
    assert usage.distinct_calls <= most * count


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("count", [5, 12])
def test_the_limit_holds_with_a_capricious_model(effort, count):
    session = Session(scripted_model(capricious), retry=RetryPolicy(give_up_after=10_000))
    profile = SynthesizeMe(session, effort=effort).fit(history(count))
    assert profile.provenance.usage.distinct_calls <= call_limit(count, effort)
    assert len(session.model.lm.engine.requests) == profile.provenance.usage.distinct_calls


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (lambda request: RuntimeError("down"), "transport"),
        (lambda request: "Hm.", "parse"),
        (lambda request: "I'm sorry, I can't do that.", "refusal"),
    ],
)
@pytest.mark.parametrize("count", [2, 12])
def test_a_model_that_gives_no_verdict_at_all_stops_the_induction_early(script, kind, count):
    session = Session(scripted_model(script), retry=RetryPolicy(give_up_after=10_000))
    none = rf"none of its \d+ replies .* is a verdict \(\d+ {kind}\)"
    if count == 12 and kind != "transport":
        none = "^user 'planted-.*': scripted: only 0 of its 8 replies can be read as a verdict"
    with pytest.raises(BackendError, match=none):
        SynthesizeMe(session).fit(history(count))
    assert len(session.model.lm.engine.requests) <= 2 * count


@pytest.mark.parametrize("budget", [3, 4, 5, 6, 7, 8, 11, 12, 13, 16, 20, 25, 33, 47, 60, 10_000])
@pytest.mark.parametrize("script", [None, capricious])
def test_a_budget_is_never_exceeded_by_one(builtin, budget, script):
    session = builtin if script is None else Session(scripted_model(script))
    for effort in EFFORTS:
        asked = session.ledger()
        profile = SynthesizeMe(session, effort=effort, budget_calls=budget).fit(history(12), ledger=asked)
        assert asked.usage.distinct_calls == profile.provenance.usage.distinct_calls <= budget


def test_effort_buys_calls(builtin):
    calls = [
        SynthesizeMe(builtin, effort=effort).fit(history(40)).provenance.usage.distinct_calls
        for effort in EFFORTS
    ]
    assert calls == sorted(set(calls))


def test_a_small_budget_still_gives_a_persona_and_says_what_it_left_out(builtin):
    pairs = [pair(n, chosen=f"- Six feet, {n}\n- No more") for n in range(12)]
    profile = SynthesizeMe(builtin, budget_calls=24).fit(pairs)
    assert profile.persona is not None
    assert profile.provenance.usage.distinct_calls <= 24
    untried = SynthesizeMe(builtin, budget_calls=9).fit(pairs)
    assert untried.persona is None
    assert any("tried; none" in note for note in untried.provenance.notes)


def test_bad_settings_are_refused_all_at_once(builtin):
    with pytest.raises(ConfigError, match=r"effort is 'huge'.*; search is 'grid'"):
        SynthesizeMe(builtin, effort="huge", search="grid")
    with pytest.raises(ConfigError, match="the paper's search has no limit"):
        SynthesizeMe(builtin, search="paper", budget_calls=100)
    with pytest.raises(ConfigError, match="a budget of 2 calls"):
        SynthesizeMe(builtin, budget_calls=2).fit(history(12))


# --- the same again


@pytest.mark.parametrize("search", ["economical", "paper"])
def test_workers_and_latencies_change_nothing(search):
    documents, finished = set(), set()
    for concurrency, seed in ((1, 1), (8, 2), (8, 3), (16, 4)):
        model, engine = waiting_model(capricious, seed)
        with Session(model, concurrency=concurrency) as session:
            documents.add(SynthesizeMe(session, search=search, seed=9).fit(history(16)).to_json())
        finished.add(tuple(engine.finished))
    assert len(documents) == 1
    if search == "economical":  # the paper's trials ask one question after the other
        assert len(finished) > 2, "the latencies must really change the order in which calls end"


def test_the_same_seed_gives_the_same_profile_and_another_one_another(builtin):
    pairs = history(24)
    documents = [SynthesizeMe(builtin, seed=seed).fit(pairs).to_json() for seed in (1, 1, 2)]
    assert documents[0] == documents[1] != documents[2]


@pytest.mark.parametrize("search", ["economical", "paper"])
def test_a_second_fit_on_the_same_ledger_asks_nothing_and_ends_the_same(search):
    session = Session(scripted_model(capricious))
    asked = session.ledger()
    one = SynthesizeMe(session, search=search).fit(history(16), ledger=asked)
    spent = asked.usage.distinct_calls
    two = SynthesizeMe(session, search=search).fit(history(16), ledger=asked)
    assert asked.usage.distinct_calls == spent == len(session.model.lm.engine.requests)
    assert one.to_json() == two.to_json()


def test_another_user_on_the_same_ledger_has_a_full_budget(builtin):
    asked = builtin.ledger()
    for user in range(3):
        together = SynthesizeMe(builtin, budget_calls=40).fit(history(12, user=user), ledger=asked)
        alone = SynthesizeMe(builtin, budget_calls=40).fit(history(12, user=user))
        assert together.to_json() == alone.to_json()


# --- what is sent and what is kept


def test_test_pairs_are_never_sent(builtin):
    session = Session(scripted_model(capricious))
    pairs = history(12)
    SynthesizeMe(session).fit(pairs)
    everything = "\n".join(text for turns in sent(session.ledger()) for _, text in turns)
    for one in pairs:
        assert (one.chosen_text in everything) == (one.split != "test")


def test_labels_of_validation_pairs_never_stand_beside_the_question_about_them():
    session = Session(scripted_model(capricious))
    pairs = history(12)
    SynthesizeMe(session, effort="high").fit(pairs)
    for turns in sent(session.ledger()):
        asked = turns[-1][1]
        if "<pair " in asked:
            continue
        first = re.search(r"<first_response>\n(.*?)\n</first_response>", asked, re.DOTALL)[1]
        assert all(first not in text for _, text in turns[:-1])


def test_the_provenance_tells_how_it_was_made(builtin):
    pairs = history(12)
    found = SynthesizeMe(builtin, seed=3, effort="low").fit(pairs, split_rule="by hand").provenance
    assert (found.model, found.search, found.effort, found.seed) == ("builtin", "economical", "low", 3)
    assert "not a language model" in found.model_kind
    assert found.split_rule == "by hand"
    assert found.splits == {p.pair_id: p.split for p in pairs}
    assert 0 < found.traces_verified <= found.traces_judged
    assert found.usage.cached_calls == found.usage.retries == 0
    assert sum(candidate.selected for candidate in found.candidates) == 1
    other = SynthesizeMe(builtin).fit([p.swapped_labels() for p in pairs]).provenance
    assert other.data_fingerprint != found.data_fingerprint


def test_failed_refused_and_unreadable_replies_are_counted_by_kind():
    failures = {"refusal": 0, "parse": 0, "transport": 0}

    def script(request):
        text = request.messages[-1].text
        kind = hashlib.sha256(text.encode()).digest()[1] % 8
        if "<pair " in text:
            return "The user prefers short answers. [1]"
        if kind == 0:
            failures["refusal"] += 1
            return "I'm sorry, I can't judge this."
        if kind == 1:
            failures["parse"] += 1
            return "Both are nice."
        if kind == 2:
            failures["transport"] += 1
            return RuntimeError("down")
        return "Preference: First"

    profile = SynthesizeMe(Session(scripted_model(script))).fit(history(20))
    assert all(failures.values())
    assert profile.provenance.failures == failures
    assert profile.provenance.usage.distinct_calls <= 100


def test_a_failed_persona_call_leaves_a_note_and_demonstrations_are_still_raced():
    def script(request):
        if "<pair " in request.messages[-1].text:
            return RuntimeError("down")
        return "Reasoning: so.\nPreference: First"

    profile = SynthesizeMe(Session(scripted_model(script))).fit(history(12))
    assert profile.persona is None
    assert any(
        note.startswith("no persona could be written (transport: ") for note in profile.provenance.notes
    )
    assert len(profile.provenance.candidates) > 1
    assert profile.provenance.failures == {"transport": 2}
    assert UserProfile.from_json(profile.to_json()) == profile


def test_statements_are_tried_on_validation_pairs_too_and_cites_existing_pairs(builtin):
    pairs = [pair(n, chosen=f"- Six feet, {n}\n- No more") for n in range(24)]
    profile = SynthesizeMe(builtin).fit(pairs)
    known = profile.provenance.splits
    cited = {known[i] for sentence in profile.persona.sentences for i in sentence.pair_ids}
    assert cited == {"train", "validation"}


def test_an_unreachable_endpoint_is_an_error_with_a_cure():
    session = Session(
        scripted_model(lambda request: RuntimeError("down")), retry=RetryPolicy(give_up_after=4)
    )
    with pytest.raises(BackendError, match=r"4 calls in a row failed.*Cure: "):
        SynthesizeMe(session).fit(history(12))


# --- too little


@pytest.mark.parametrize(
    ("train", "validation"), [(0, 0), (1, 0), (0, 1), (0, 5)]
)  # fmt: skip
@pytest.mark.parametrize("search", ["economical", "paper"])
def test_too_few_pairs_give_an_empty_profile_that_says_so_and_no_call(search, train, validation):
    asked = ledger(capricious)
    splits = ["train"] * train + ["validation"] * validation + ["test"] * 2
    pairs = [pair(n, split=split) for n, split in enumerate(splits)]
    profile = SynthesizeMe(asked.session, search=search).fit(pairs, ledger=asked)
    assert (profile.persona, profile.demonstrations, asked.usage.calls) == (None, (), 0)
    (note,) = profile.provenance.notes
    assert note.startswith(f"not enough pairs: {train} train and {validation} validation")
    assert json.loads(profile.to_json())["user_id"] == "ada"


@pytest.mark.parametrize(("train", "validation"), [(1, 1), (2, 0), (1, 4), (3, 0), (9, 0)])
@pytest.mark.parametrize("search", ["economical", "paper"])
def test_two_pairs_with_one_for_training_are_enough(builtin, search, train, validation):
    pairs = history(train + validation, n_validation=validation)
    profile = SynthesizeMe(builtin, search=search).fit(pairs)
    assert profile.provenance.usage.distinct_calls > 0
    assert not any(note.startswith("not enough") for note in profile.provenance.notes)
    shown = {d.comparison.pair_id for d in profile.demonstrations}
    assert shown <= {p.pair_id for p in pairs if p.split == "train"}


def test_without_validation_pairs_candidates_are_scored_out_of_fold():
    session = Session(scripted_model(capricious))
    profile = SynthesizeMe(session, effort="high").fit(history(10, n_validation=0))
    candidates = profile.provenance.candidates
    assert len(candidates) > 1
    assert any(candidate.judged for candidate in candidates[1:])
    assert all(candidate.judged < 10 for candidate in candidates[1:])


BOTH = [pair(0, split="train"), pair(0, user="bob", split="train")]


@pytest.mark.parametrize(
    ("rows", "user", "message"),
    [
        (BOTH, None, r"2 pairs of 2 users; expected one. Users: ada, bob.*Cure: name one with user="),
        (BOTH, "eve", r"2 pairs of 2 users; none of them is 'eve'. Users: ada, bob"),
        ([], None, r"found no row; expected the choices of a user"),
        (
            [pair(0, split="train"), pair(1)],
            None,
            r"user 'ada' has rows with a split, the first being pair 'ada-0'",
        ),
        (
            [pair(0, split="train").model_dump(), {"prompt": "?"}],
            None,
            r"list row 2: field 'user_id': the field is",
        ),
    ],
)
def test_rows_of_nobody_of_several_or_split_in_part_are_refused(builtin, rows, user, message):
    with pytest.raises(DataError, match=message):
        SynthesizeMe(builtin).fit(rows, user=user)


def test_rows_of_any_shape_and_a_model_by_name_give_the_same_profile(builtin):
    rows = [one.model_dump(mode="json", exclude_none=True) for one in history(8)]
    same = SynthesizeMe(builtin).fit(history(8))
    for given in (rows, "\n".join(map(json.dumps, rows)), iter(rows)):
        assert SynthesizeMe("builtin").fit(given) == same
    others = [{**row, "user_id": "bob", "pair_id": f"b{row['pair_id']}"} for row in rows]
    assert SynthesizeMe(builtin.model).fit([*others, *rows], user=same.user_id) == same


def test_rows_without_a_split_get_one_as_on_the_command_line(builtin):
    pairs = [one.model_copy(update={"split": None}) for one in history(12)]
    method = SynthesizeMe(builtin, seed=3)
    split, rule = assign_splits(pairs, seed=3)
    assert method.fit(pairs) == method.fit(split, split_rule=rule)
    rows = [one.model_dump(mode="json") for one in pairs]
    nameless = [{key: row[key] for key in ("prompt", "chosen", "rejected")} for row in rows]
    assert method.fit(nameless, user="me").user_id == "me"


def test_every_call_is_told_and_nothing_is_shown_by_default(builtin, capfd):
    seen = []
    profile = SynthesizeMe("builtin").fit(history(8), progress=seen.append)
    assert seen[-1].usage.distinct_calls == profile.provenance.usage.distinct_calls
    SynthesizeMe("builtin").fit(history(8))
    assert capfd.readouterr() == ("", "")


def test_a_model_that_is_none_is_refused_at_once():
    with pytest.raises(UnknownNameError, match="unknown model 'bultin'"):
        SynthesizeMe("bultin")
    with pytest.raises(
        ConfigError, match="model is 3, a int; expected the name of a model such as 'builtin'"
    ):
        SynthesizeMe(3)


def test_a_profile_can_be_asked_and_saved(builtin, tmp_path):
    profile = SynthesizeMe(builtin).fit(history(12))
    asked = ("How deep is a fathom?", "Six feet.", "A fathom is a unit of length.")
    answer = profile.judge(*asked)
    assert answer == profile.judge(*asked, model=builtin)
    assert profile.judge(asked[0], asked[2], asked[1]).probability == pytest.approx(1 - answer.probability)
    files = profile.save(tmp_path / "profiles")
    assert sorted(files) == ["generation_prompt.json", "judge_prompt.json", "persona.md", "profile.json"]
    for place in (tmp_path / "profiles", files["profile.json"].parent, str(files["profile.json"])):
        assert load_profile(place) == profile
    assert load_profile(tmp_path / "profiles", user=profile.user_id).judge(*asked) == answer
    with pytest.raises(ConfigError, match=r"has no profile of 'bob'\. Its users: planted-00000"):
        load_profile(tmp_path / "profiles", user="bob")
    with pytest.raises(
        DataError, match=r"^field 'first': found 3; expected a string.*Cure: give text that is not blank"
    ):
        profile.judge("?", 3, "b")
    with pytest.raises(DataError, match=r"^field 'second': is blank; expected text"):
        profile.judge("?", "a", " ")


def test_user_ids_are_data(builtin):
    for user in ("../../x", "a\nb", "🦊", "u" * 10_000):
        renamed = [p.model_copy(update={"user_id": user}) for p in history(8)]
        profile = SynthesizeMe(builtin).fit(renamed)
        assert profile.user_id == user
        assert UserProfile.from_json(profile.to_json()) == profile


def test_every_pair_is_judged_in_a_drawn_order_and_validation_pairs_in_both():
    session = Session(scripted_model(capricious))
    pairs = history(20)
    SynthesizeMe(session).fit(pairs)
    shown = {
        (t[-1][1].split("<first_response>\n")[1].split("\n</first_response>")[0], len(t))
        for t in sent(session.ledger())
        if "<pair " not in t[-1][1]
    }
    for one in pairs:
        if one.split == "validation":
            assert {(one.compare(order).first, 2) for order in ORDERS} <= shown
