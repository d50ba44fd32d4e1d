"""The reward function of TRL, called as ``GRPOTrainer`` calls it, and in a real run of it."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import two_tastes

from reward_models import load
from synthesizeme.datasets import read_pairs
from synthesizeme.discovery import resource
from synthesizeme.errors import ConfigError, RewardError
from synthesizeme.scoring import as_answers
from synthesizeme.serving.trl import async_reward_function, reward_function
from synthesizeme.types import Message

sys.path.insert(0, str(Path(__file__).parents[1] / "reward_models"))


def called(function, *rows, **more):
    """Rewards of rows (user, prompt, completion), with everything GRPOTrainer passes."""
    users, prompts, completions = (list(column) for column in zip(*rows, strict=True))
    arguments = {"prompts": prompts, "completions": completions, "completion_ids": [[1]] * len(rows),
                 "user_id": users, "trainer_state": object(), "log_extra": None, "log_metric": None}  # fmt: skip
    found = function(**(arguments | more))
    return asyncio.run(found) if inspect.isawaitable(found) else found


def said(text):
    return [{"role": "assistant", "content": text}]


@pytest.fixture(params=[reward_function, async_reward_function], ids=["sync", "async"])
def make(request):
    return request.param


def test_each_row_gets_its_own_users_reward(make, model, sunny, frosty):
    found = called(
        make(model), ("u0", "Q?", sunny), ("u0", "Q?", frosty), ("u1", "Q?", sunny), ("u1", "Q?", frosty)
    )
    assert found[0] > found[1]
    assert found[2] < found[3]


def test_text_and_messages_give_the_same_rewards(make, model, sunny):
    plain = called(make(model), ("u0", "Q?", sunny))
    prompt = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Q?"}]
    assert called(make(model), ("u0", [prompt[1]], said(sunny))) == plain
    assert called(make(model), ("u0", prompt, said(sunny)))[0] is not None


def test_a_checkpoint_folder_will_do(make, checkpoint, model, sunny):
    assert called(make(str(checkpoint)), ("u0", "Q?", sunny)) == called(make(model), ("u0", "Q?", sunny))


def test_an_unknown_user_is_none_or_the_population(make, stub):
    function = make(stub)
    assert called(function, ("ann", "Q?", "3"), ("eve", "Q?", "4")) == [3, None]
    assert function.counts == {"ok": 1, "unknown_user": 1}
    function = make(stub, unknown_user="population")
    assert called(function, ("ann", "Q?", "3"), ("eve", "Q?", "4")) == [3, 1004]
    assert function.counts == {"ok": 1, "population": 1}


ROWS = {
    "a completion that makes the model raise": ("ann", "Q?", "raise"),
    "a blank prompt": ("ann", " ", "1"),
    "no user": (None, "Q?", "1"),
    "a prompt that ends with an answer": ("ann", said("hello"), "1"),
    "a completion that is no text": ("ann", "Q?", 5),
    "a message without content": ("ann", "Q?", [{"role": "assistant"}]),
}


@pytest.mark.parametrize("kind", ROWS)
def test_what_cannot_be_scored_is_none_and_counted_or_raises(make, stub, kind):
    function = make(stub)
    assert called(function, ("ann", "Q?", "3"), ROWS[kind], ("bob", "Q?", "5")) == [3, None, 5]
    assert function.counts == {"ok": 2, "error": 1}
    with pytest.raises(RewardError, match="row 1"):
        called(make(stub, on_error="raise"), ("ann", "Q?", "3"), ROWS[kind])


def test_the_population_stands_in_where_only_the_user_fails(make, stub):
    assert called(make(stub), ("ann", "Q?", "raise for own")) == [999]


def test_shares_and_means_are_logged_and_no_text(make, stub, caplog):
    caplog.set_level("INFO")
    logged = []
    called(make(stub, unknown_user="population"), ("ann", "Q?", "3"), ("eve", "my secret", "4"),
           log_metric=lambda name, value: logged.append((name, value)),
           log_extra=lambda *_: pytest.fail("nothing else is logged"))  # fmt: skip
    assert dict(logged) == {
        "personal_reward/scored": 0.5, "personal_reward/taste": (3 + 1004) / 2, "personal_reward/floor": 0,
        "personal_reward/below_floor": 0, "personal_reward/stripped": 0,
    }  # fmt: skip
    assert caplog.text == ""
    logged.clear()
    called(make(stub), ("eve", "Q?", "4"), log_metric=lambda name, value: logged.append((name, value)))
    assert logged == [("personal_reward/scored", 0)], "what has no reward has no part of one"


def test_the_share_that_is_no_answer_is_logged(make, model, sunny):
    logged = {}
    rows = [("u0", "How does a ship sail home?", text) for text in (sunny, "How does a ship sail home?", "")]
    found = called(make(model, floor="base"), *rows, log_metric=logged.__setitem__)
    assert min(found[0] - other for other in found[1:]) > 5
    assert logged["personal_reward/below_floor"] == 2 / 3
    assert logged["personal_reward/taste"] + logged["personal_reward/floor"] == pytest.approx(sum(found) / 3)
    tastes = called(make(model, floor="none"), *rows, log_metric=logged.__setitem__)
    assert logged["personal_reward/floor"] == logged["personal_reward/below_floor"] == 0
    assert sum(tastes) / 3 == logged["personal_reward/taste"]
    with pytest.raises(ConfigError, match="unknown floor 'bass'"):
        make(model, floor="bass")


def test_unknown_users_are_warned_of_once_a_function(make, stub, caplog):
    function, eve = make(stub), "eve" * 40
    rows = [(user, "my secret", "4") for user in ("ann", eve, "mallory", eve)]
    assert called(function, *rows) == [4, None, None, None]
    assert called(function, *rows[2:]) == [None, None]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    said = record.getMessage()
    assert "3 of 4 rows in this batch get None" in said
    assert "(unknown_user), the first because the model does not know user 'eve" in said
    assert "Cure: " in said
    assert "population" in said
    assert eve[:60] not in said
    assert "secret" not in said
    called(make(stub), rows[1])
    assert len(caplog.records) == 2, "another function says it again"


@pytest.mark.parametrize("kind", ROWS)
def test_rows_that_cannot_be_read_are_warned_of_once_with_the_reason_and_without_their_text(
    make, stub, caplog, kind
):
    function = make(stub)
    for _ in range(2):
        called(function, ("ann", "Q?", "3"), ROWS[kind], ROWS[kind])
    said = [record.getMessage() for record in caplog.records if record.name.endswith(".trl")]
    assert len(said) == 1
    assert "2 of 3 rows in this batch get None in place of a reward (error)" in said[0]
    assert {"a completion that makes the model raise": "ValueError", "a blank prompt": "blank",
            "no user": "user_id: found None", "a prompt that ends with an answer": "does not end with a user turn",
            "a completion that is no text": "response: expected a string",
            "a message without content": "response: expected a string"}[kind] in said[0]  # fmt: skip
    assert "hello" not in said[0]


def test_each_reason_is_said_once_however_many_have_one_status(make, stub, caplog):
    function = make(stub)
    for _ in range(2):
        called(
            function,
            ("ann", "Q?", "3"),
            *ROWS.values(),
            (None, "Q?", "3"),
            (3.5, "Q?", "3"),
            ("eve", "Q?", "3"),
        )
    said = [record.getMessage() for record in caplog.records if record.name.endswith(".trl")]
    reasons = (
        "ValueError",
        "blank",
        "user_id: found None",
        "does not end with a user",
        "response: ",
        "'eve'",
    )
    for reason in reasons:
        assert sum(reason in line for line in said) >= 1, reason
    assert len({line.partition("the first because ")[2] for line in said}) == len(said)
    assert len(said) <= len(ROWS) + 2


def test_a_batch_without_any_reward_says_so(make, stub, caplog):
    assert called(make(stub), ("eve", "Q?", "4"), ("mallory", "Q?", "4")) == [None, None]
    assert "no row of the batch has a reward" in caplog.text


@pytest.mark.parametrize("user", [7, np.int64(7)], ids=["int", "numpy"])
def test_a_whole_number_is_a_user_by_its_digits(make, stub, user):
    stub.users_["7"] = {}
    assert called(make(stub), (user, "Q?", "3")) == [3]


def test_it_can_be_pickled_and_counts_on(make, checkpoint, model, sunny):
    for given in (str(checkpoint), model):
        function = make(given, unknown_user="population")
        expected = called(function, ("u0", "Q?", sunny), ("eve", "Q?", sunny))
        again = pickle.loads(pickle.dumps(function))
        before = dict(again.counts)
        assert called(again, ("u0", "Q?", sunny), ("eve", "Q?", sunny)) == expected
        assert again.counts["ok"] == before.get("ok", 0) + 1
        assert again.__name__ == function.__name__ == "personal_reward"


def test_a_missing_column_is_named(make, stub):
    with pytest.raises(ConfigError, match=r"no column 'user_id' \(found completion_ids, who\)"):
        called(make(stub), ("ann", "Q?", "3"), user_id=None, who=["ann"])
    assert called(make(stub, user_column="who"), ("x", "Q?", "3"), who=["ann"]) == [3]


def test_several_messages_of_the_policy_are_one_response(make, stub):
    turns = [*said("7"), {"role": "tool", "content": "noise"}, *said("more")]
    assert called(make(stub), ("ann", "Q?", turns)) == [7]


def test_a_wrong_setting_is_refused_at_once(make, stub):
    with pytest.raises(ConfigError, match="unknown_user"):
        make(stub, unknown_user="guess")


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning")
@pytest.mark.parametrize("conversational", [False, True])
def test_grpo_trains_a_policy_with_it(make, model, tmp_path, conversational):
    pytest.importorskip("trl")
    import tiny_backbones
    import transformers
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer
    from trl.trainer.grpo_trainer import is_async_callable

    texts = two_tastes.texts(two_tastes.population(2, 8))
    folder = tiny_backbones.make(tmp_path / "policy", texts, shape="llama")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }} {% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    prompts = ["What of the ship?", "What of the island?"] * 2
    users = ["u0", "u1", "u0", "u1"]
    rows = [
        {"prompt": [{"role": "user", "content": prompt}] if conversational else prompt, "user_id": user}
        for prompt, user in zip(prompts, users, strict=True)
    ]
    function = make(model)
    assert is_async_callable(function) == (make is async_reward_function)
    arguments = GRPOConfig(
        output_dir=str(tmp_path / "out"), per_device_train_batch_size=4, num_generations=2, max_steps=3,
        max_completion_length=8, use_cpu=True, bf16=False, report_to=[], logging_steps=1, save_strategy="no",
        disable_tqdm=True, learning_rate=1e-2, seed=0,
    )  # fmt: skip
    policy = transformers.AutoModelForCausalLM.from_pretrained(folder)
    before = {name: weight.detach().clone() for name, weight in policy.named_parameters()}
    trainer = GRPOTrainer(policy, reward_funcs=function, args=arguments, train_dataset=Dataset.from_list(rows),
                          processing_class=tokenizer)  # fmt: skip
    trainer.train()
    logs = [row for row in trainer.state.log_history if "rewards/personal_reward/mean" in row]
    assert len(logs) == 3
    assert [row["personal_reward/scored"] for row in logs] == [1, 1, 1]
    assert function.counts == {"ok": 12}
    assert any(row["rewards/personal_reward/mean"] != 0 for row in logs)
    after = dict(trainer.model.named_parameters())
    assert any((after[name].detach() != weight).any() for name, weight in before.items()), "the policy moved"


def test_the_shipped_population_takes_users_of_ones_own_and_then_refuses_others():
    pairs = [pair for pair in read_pairs(resource("data/sample/pairs.jsonl")).pairs if pair.user_id == "mara"]
    model = load().fit_user("mara", [pair for pair in pairs if pair.split != "test"])
    function = reward_function(model)
    own, none = function(["Q?", "Q?"], ["Aye.", "Aye."], user_id=["mara", "nobody"])
    (expected,) = model.score(as_answers([[Message(role="user", content="Q?")]], ["Aye."], ["mara"]))
    assert (own, none) == (expected.value, None)


def test_without_a_path_nobody_is_refused_unless_that_is_asked_for():
    assert reward_function()(["Q?"], ["Aye."], user_id=["u"])[0] is not None
    with pytest.raises(ConfigError, match="knows no user"):
        reward_function(unknown_user="refuse")
