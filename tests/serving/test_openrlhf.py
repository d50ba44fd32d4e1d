"""OpenRLHF's protocol: its reward function file, and its client against a running server."""

from __future__ import annotations

import importlib.util
import json
import math
import pickle
import sys
import time
import urllib.error
import urllib.request

import httpx
import pytest

import reward_models
from synthesizeme.errors import ConfigError, DataError, UnknownUserError
from synthesizeme.scoring import as_answers
from synthesizeme.serving import opening, openrlhf
from synthesizeme.serving.access import Access
from synthesizeme.serving.openrlhf import reply, rows
from synthesizeme.serving.rewards import STATUSES, ScalarRewards, Score


@pytest.fixture
def named(checkpoint, monkeypatch):
    """The checkpoint, named by the environment."""
    monkeypatch.setenv("SYNTHESIZEME_REWARD_MODEL", str(checkpoint))
    return monkeypatch


@pytest.fixture
def reward_func():
    """The function of the file, loaded by its path as OpenRLHF loads it."""
    spec = importlib.util.spec_from_file_location("reward_func", openrlhf.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.reward_func


def plain(answer):
    """The same, tensors as lists."""
    return {
        name: plain(value) if isinstance(value, dict) else value.tolist() for name, value in answer.items()
    }


def client(url, payload, tries=5):
    """OpenRLHF's remote reward client: POST, up to `tries` times; None when none of them succeeds."""
    for _ in range(tries):
        request = urllib.request.Request(
            url, json.dumps(payload).encode(), {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=180) as response:
                return json.loads(response.read())
        except urllib.error.HTTPError as error:
            client.last = error.code, json.loads(error.read())
        time.sleep(0.01)
    return None


def payload(*found):
    """Rows (label, prompt, response) as OpenRLHF sends them."""
    return {
        "query": [prompt + response for _, prompt, response in found],
        "prompts": [prompt for _, prompt, _ in found],
        "labels": [label for label, _, _ in found],
    }


LABELS = [
    "u0", '{"user_id": "u0", "label": "42"}', {"user_id": "u0", "label": 42}, ' {"user_id": "u0"}', "{'user_id': 'u0', 'label': None}",
    '"u0"', "'u0'", "'u0' ", '["u0"]', "['u0']", '[{"user_id": "u0"}]', json.dumps(json.dumps({"user_id": "u0"})),
]  # fmt: skip
MALFORMED = [
    "u0 ", "\nu0", '"u0 "',
    '{"user_id": "u0"', '["u0", "u1"]', "[]", "[deleted]", '"u0', "'u0", "{user_id: u0}", "[null]", "null", "None", "nan",
    '{"user": "u0"}', '{"user_id": null}', "", " ", "\"\"", "[['u0']]", "[true]",
]  # fmt: skip


@pytest.mark.parametrize("label", LABELS, ids=str)
def test_the_client_gets_the_reward_of_the_response_alone(serve, model, sunny, label):
    live = serve(model)
    found = client(f"{live.url}/get_reward", payload((label, "Q?", sunny)))
    direct = live.post("/v1/score", {"user_id": "u0", "prompt": "Q?", "response": sunny}).json()
    assert found == {
        "rewards": [direct["value"]],
        "scores": [direct["probability"]],
        "extra_logs": {
            "scored": [1],
            "taste": [direct["taste"]],
            "floor": [direct["floor"]],
            "below_floor": [0],
            "stripped": [0],
            **{status: [int(status == "ok")] for status in STATUSES},
        },
    }


@pytest.mark.parametrize("label", MALFORMED)
def test_a_malformed_label_is_refused_also_where_the_population_would_answer(model, serve, label):
    for unknown in ("refuse", "population"):
        live = serve(model, unknown_user=unknown)
        refused = live.post("/get_reward", {"query": ["Q? a"], "prompts": ["Q?"], "labels": [label]})
        assert refused.status_code == 422, label
        assert refused.json()["field"] in ("labels", "user_id")
    with pytest.raises(DataError, match=r"--data\.label_key"):
        rows(["Q? a"], ["Q?"], [label])


def test_whoever_is_called_like_a_malformed_label_is_named_by_an_object():
    for name in ("[deleted]", "null", "u0 "):
        (question,) = rows(["Q? a"], ["Q?"], [json.dumps({"user_id": name})])
        assert question.user_id == name
    assert rows(["Q? a"] * 3, ["Q?"] * 3, [3.0, 3, "3"])[0].user_id == "3"


def test_the_client_sends_batches_and_each_label_is_its_rows_user(serve, model, sunny, frosty):
    live = serve(model)
    found = client(f"{live.url}/get_reward",
                   payload(("u0", "Q?", sunny), ("u0", "Q?", frosty), ("u1", "Q?", sunny), ("u1", "Q?", frosty)))  # fmt: skip
    rewards = found["rewards"]
    assert rewards[0] > rewards[1]
    assert rewards[2] < rewards[3]


def test_a_client_that_only_knows_an_address_brings_its_token_in_it(serve, model, sunny):
    live = serve(model, access=Access([("score", "score-token-123456")]))
    asked = {"json": payload(("u0", "Q?", sunny)), "timeout": 180}
    for user, token, status in (("any", "score-token-123456", 200), ("", "score-token-123456", 200),
                                ("any", "score-token-12345", 401), ("score-token-123456", "", 401)):  # fmt: skip
        address = live.url.replace("http://", f"http://{user}:{token}@")
        assert httpx.post(f"{address}/get_reward", **asked).status_code == status
    assert httpx.post(f"{live.url}/get_reward", **asked).status_code == 401


def test_an_unknown_user_is_422_with_a_reason_until_the_client_gives_up(serve, model, sunny):
    live = serve(model)
    assert (
        client(f"{live.url}/get_reward", payload(("u0", "Q?", sunny), ("mallory", "Q?", sunny)), tries=2)
        is None
    )
    status, body = client.last
    assert status == 422
    assert body["user_id"] == "mallory"
    assert "user 'mallory' is unknown" in body["error"]


def test_the_server_says_once_why_it_refused_since_openrlhf_drops_the_reason(serve, model, sunny, caplog):
    live = serve(model)
    for _ in range(3):
        client(f"{live.url}/get_reward", payload(("mallory", "Q?", sunny)), tries=2)
    live.post("/get_reward", {"query": ["Q? a"], "prompts": ["P?"], "labels": ["u0"]})
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [("mallory" in line, "does not begin with its prompt" in line) for line in said] == [
        (True, False), (False, True),
    ]  # fmt: skip
    assert "set unknown_user to 'population'" in said[0]


def test_a_substitute_has_numbers_and_is_counted(serve, stub):
    live = serve(stub, unknown_user="population")
    found = client(f"{live.url}/get_reward", payload(("ann", "Q?", "3"), ("eve", "Q?", "4"), ("bob", "Q?", "raise for own"),
                                                     ("bob", "Q?", "raise")))  # fmt: skip
    usual = (3 + 1004 + 999) / 3
    assert found["rewards"] == [3, 1004, 999, usual]
    assert found["scores"] == [0.5] * 4
    assert found["extra_logs"] == {
        "scored": [1, 0, 0, 0], "ok": [1, 0, 0, 0], "population": [0, 1, 0, 0], "unknown_user": [0] * 4,
        "too_long": [0] * 4, "error": [0, 0, 1, 1],
        "taste": [3, 1004, 999, usual], "floor": [0] * 4, "below_floor": [0] * 4, "stripped": [0] * 4,
    }  # fmt: skip
    page = live.client.get("/metrics").text
    assert 'synthesizeme_rows_total{status="population"} 1.0' in page
    assert 'synthesizeme_rows_total{status="error"} 2.0' in page


def test_on_error_raise_fails_the_request(serve, stub):
    live = serve(stub, on_error="raise")
    assert client(f"{live.url}/get_reward", payload(("ann", "Q?", "raise")), tries=1) is None
    assert client.last[0] == 500
    assert "ValueError" in client.last[1]["error"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"query": ["Q? a"], "prompts": ["Q?"]}, "labels"),
        ({"query": ["Q? a"], "prompts": ["Q?"], "labels": []}, "labels"),
        ({"query": ["Q? a"], "prompts": ["Q?"], "labels": ["u0", "u1"]}, "as many"),
        ({"query": ["Q? a"], "prompts": ["P?"], "labels": ["u0"]}, "does not begin with its prompt"),
        ({"query": ["Q? a"], "prompts": ["Q?"], "labels": [None]}, "names no user"),
        ({"query": ["Q? a"], "prompts": ["Q?"], "labels": ['{"label": "42"}']}, "names no user"),
        ({"query": ["Q? a"], "prompts": ["Q?"], "labels": [7.5]}, "names no user"),
        ({"query": [3], "prompts": ["Q?"], "labels": ["u0"]}, "expected text"),
        ({"query": "Q? a", "prompts": "Q?", "labels": "u0"}, "expected a list"),
        ({"query": [" a"], "prompts": [" "], "labels": ["u0"]}, "blank"),
    ],
)
def test_a_wrong_payload_is_422_and_says_what_is_wrong(serve, model, body, said):
    answer = serve(model).post("/get_reward", body)
    assert answer.status_code == 422
    assert said in json.dumps(answer.json())


LONG = "".join(f"Point {i} of the plan is to walk {i * i} steps. " for i in range(60)) + "What comes next?"


@pytest.mark.parametrize("before", ["", "<s>", "<|begin_of_text|>", "<pad><pad><s> "])
@pytest.mark.parametrize("kept", [len(LONG), len(LONG) - 1, 900, 17, 12])
def test_a_query_begins_with_its_prompt_or_the_end_of_it_behind_special_tokens(before, kept):
    (row,) = rows([f"{before}{LONG[-kept:]}Sit down."], [LONG], ["u0"])
    assert row.response == "Sit down."
    assert row.prompt[0].content == LONG


def test_a_letter_cut_in_two_and_blanks_of_a_decoder_do_not_hide_the_prompt():
    assert rows(["\ufffd" + LONG[-300:] + " Sit."], [LONG], ["u0"])[0].response == " Sit."
    (row,) = rows(["<s> [INST] What now, then? [/INST] Sit."], ["<s>[INST]What now, then?[/INST]"], ["u0"])
    assert row.response == " Sit."


@pytest.mark.parametrize("query", ["Another prompt altogether? Sit.", "next? Sit.", "", "Sit."])
def test_a_query_of_another_prompt_is_refused_in_the_same_way_by_both_routes(
    serve, model, reward_func, named, caplog, query
):
    if query == "Another prompt altogether? Sit.":
        assert (
            serve(model)
            .post("/get_reward", {"query": [query], "prompts": [LONG], "labels": ["u0"]})
            .status_code
            == 422
        )
    for _ in range(2):
        with pytest.raises(DataError, match="does not begin with its prompt"):
            reward_func([query], [LONG], ["u0"])
    assert caplog.text.count("OpenRLHF gets no reward") == 1 + (query[:7] == "Another")


def lines_run(work):
    """How many lines of Python `work` runs."""
    count = 0

    def line(frame, event, argument):
        nonlocal count
        count += event == "line"
        return line

    before = sys.gettrace()
    sys.settrace(line)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def test_the_work_of_finding_the_overlap_grows_with_the_text_and_no_faster():
    def found(number):
        text = "ab" * number
        assert rows([text[1:] + "cd"], [text + "x" + text], ["u0"])[0].response == "cd"

    assert lines_run(lambda: found(2000)) < 2.1 * lines_run(lambda: found(1000))
    found(100_000)


def test_a_bare_id_may_hold_marks_of_json():
    (row,) = rows(["Q? a"], ["Q?"], ["ann{1}'s"])
    assert row.user_id == "ann{1}'s"


def test_columns_of_different_length_are_refused():
    with pytest.raises(DataError, match="2 queries, 1 prompts"):
        rows(["a", "b"], ["a"], ["u0"])


def test_the_reply_of_no_rows_is_empty(stub):
    rewards = ScalarRewards(stub)
    assert reply([], rewards)["rewards"] == []
    (row,) = reply([Score(None, None, None, "error")], rewards)["rewards"]
    assert row == 0, "before any reward a typical one is 0"


# The file.


def test_the_file_gives_what_the_model_gives(reward_func, named, model, sunny, frosty):
    torch = pytest.importorskip("torch")
    found = reward_func(
        ["Q?" + sunny, "Q?" + frosty], ["Q?", "Q?"], ["u0", '{"user_id": "u1"}'], more="ignored"
    )
    assert isinstance(found["rewards"], torch.Tensor)
    assert found["rewards"].shape == found["scores"].shape == found["extra_logs"]["scored"].shape == (2,)
    from synthesizeme.types import Message

    prompt = (Message(role="user", content="Q?"),)
    expected = model.rewards(as_answers([prompt, prompt], [sunny, frosty], ["u0", "u1"]))
    assert plain(found)["rewards"] == pytest.approx(expected, rel=1e-5)


def test_the_file_logs_both_parts_of_a_reward_and_stands_on_the_floor_that_is_named(
    reward_func, named, sunny
):
    asked = (["Q? Aye?" + text for text in (sunny, "Q? Aye?")], ["Q? Aye?"] * 2, ["u0", "u0"])
    found = plain(reward_func(*asked))
    logs = found["extra_logs"]
    assert logs["below_floor"] == [0, 1]
    assert logs["floor"][1] < -5
    both = [taste + floor for taste, floor in zip(logs["taste"], logs["floor"], strict=True)]
    assert found["rewards"] == pytest.approx(both, rel=1e-5)
    named.setenv("SYNTHESIZEME_FLOOR", "none")
    bare = plain(reward_func(*asked))
    assert bare["rewards"] == pytest.approx(logs["taste"], rel=1e-5)
    assert bare["extra_logs"]["floor"] == [0, 0]
    named.setenv("SYNTHESIZEME_FLOOR", "bass")
    with pytest.raises(ConfigError, match="unknown floor 'bass'"):
        reward_func(*asked)


def test_the_file_refuses_an_unknown_user_by_name_or_asks_the_population(reward_func, named, sunny):
    with pytest.raises(UnknownUserError, match="user 'mallory' is unknown"):
        reward_func(["Q?" + sunny], ["Q?"], ["mallory"])
    named.setenv("SYNTHESIZEME_UNKNOWN_USER", "population")
    found = plain(reward_func(["Q?" + sunny], ["Q?"], ["mallory"]))
    assert math.isfinite(found["rewards"][0])
    assert 0 < found["scores"][0] < 1
    assert found["extra_logs"]["population"] == [1]
    assert found["extra_logs"]["scored"] == [0]


def test_a_file_of_ones_own_needs_no_environment_and_travels(checkpoint, tmp_path, sunny):
    own = tmp_path / "reward.py"
    own.write_text(
        "from synthesizeme.serving.openrlhf import reward_function\n"
        f"reward_func = reward_function({str(checkpoint)!r}, unknown_user='population')\n"
    )
    spec = importlib.util.spec_from_file_location("reward_func", own)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    asked = (["Q?" + sunny] * 2, ["Q?"] * 2, ["u0", "mallory"])
    found = plain(module.reward_func(*asked))
    assert found["extra_logs"]["scored"] == [1, 0]
    cloudpickle = pytest.importorskip("cloudpickle")
    assert plain(pickle.loads(cloudpickle.dumps(module.reward_func))(*asked)) == found


def test_the_file_without_a_model_takes_the_shipped_population_and_says_how_to_name_one(
    reward_func, monkeypatch, caplog
):
    monkeypatch.delenv("SYNTHESIZEME_REWARD_MODEL", raising=False)
    opening._opened.cache_clear()
    found = plain(reward_func(["Q? Aye."], ["Q?"], ["u0"]))
    assert found["extra_logs"]["population"] == [1]
    assert "SYNTHESIZEME_REWARD_MODEL" in caplog.text
    (question,) = rows(["Q? Aye."], ["Q?"], ["u0"])
    (expected,) = reward_models.load().score(
        as_answers([question.prompt], [question.response.strip()], ["u0"])
    )
    assert found["rewards"] == pytest.approx([expected.value])
