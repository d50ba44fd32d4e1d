"""Preventative steering and the drift monitor in stock trainers, on a tiny model."""

from __future__ import annotations

import numpy as np
import pytest
from asked_of_decoders import TEXTS, ask

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from reward_models.persona_vectors import DriftMonitor, PersonaVectors, PreventativeSteering, open_decoder  # noqa: E402
from reward_models.persona_vectors.monitoring import base_deviations, drift_threshold  # noqa: E402
from synthesizeme.errors import ConfigError, VectorError  # noqa: E402

PROBES = [ask(text) for text in TEXTS[:2]]


def vectors_of(decoder, layer=1):
    drawn = np.random.default_rng(0).normal(size=(decoder.layers + 1, decoder.width)).astype(np.float32)
    return PersonaVectors("t", drawn, decoder.identity.document(), layer)


def trained(folder, tmp_path, *callbacks, steps=2, rate=1e-3):
    """A decoder after TRL's SFTTrainer."""
    pytest.importorskip("trl")
    import trl
    from datasets import Dataset

    from reward_models._transformers import quiet

    decoder = open_decoder(str(folder), device="cpu")
    rows = [{"prompt": text, "completion": " The fox sleeps."} for text in TEXTS] * 2
    with quiet():
        trainer = trl.SFTTrainer(
            decoder.model, train_dataset=Dataset.from_list(rows), processing_class=decoder.tokenizer,
            args=trl.SFTConfig(output_dir=str(tmp_path), max_steps=steps, per_device_train_batch_size=4, use_cpu=True,
                               bf16=False, report_to=[], save_strategy="no", learning_rate=rate, disable_tqdm=True,
                               gradient_checkpointing=False, logging_steps=1, seed=0),
            callbacks=list(callbacks),
        )  # fmt: skip
        trainer.train()
    return trainer, decoder


def weights(trainer):
    return torch.cat([p.detach().reshape(-1) for p in trainer.model.parameters()])


def test_preventative_steering_acts_during_training_and_is_gone_afterwards(folders, tmp_path):
    folder = folders["llama"]
    vector = vectors_of(open_decoder(str(folder), device="cpu")).at()
    plain, _ = trained(folder, tmp_path)
    nothing, _ = trained(folder, tmp_path, PreventativeSteering(vector, layer=1, alpha=0))
    steered, decoder = trained(folder, tmp_path, PreventativeSteering(vector, layer=1, alpha=5))
    assert torch.equal(weights(plain), weights(nothing))
    assert not torch.equal(weights(plain), weights(steered))
    assert plain.state.log_history[0]["loss"] != steered.state.log_history[0]["loss"]
    assert len(decoder.blocks[0]._forward_hooks) == 0


def test_the_loss_of_a_steered_step_is_that_of_the_model_with_the_vector_added_by_hand(folders, tmp_path):
    folder = folders["llama"]
    vector = vectors_of(open_decoder(str(folder), device="cpu")).at()
    steered, _ = trained(folder, tmp_path, PreventativeSteering(vector, layer=1, alpha=3), steps=1)

    from transformers import TrainerCallback

    class ByHand(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            block = kwargs["model"].model.layers[0]
            block.register_forward_hook(lambda module, inputs, output: output + 3 * torch.tensor(vector))

    by_hand, _ = trained(folder, tmp_path, ByHand(), steps=1)
    losses = [trainer.state.log_history[0]["loss"] for trainer in (steered, by_hand)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_a_training_that_raises_leaves_nothing_behind_in_the_context(folders, tmp_path):
    from transformers import TrainerCallback

    class Stop(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            self.model = kwargs["model"]
            raise RuntimeError("stop")

    vector = vectors_of(open_decoder(str(folders["llama"]), device="cpu")).at()
    stop = Stop()
    with (
        pytest.raises(RuntimeError, match="stop"),
        PreventativeSteering(vector, layer=1, alpha=1) as steering,
    ):
        trained(folders["llama"], tmp_path, steering, stop)
    assert len(stop.model.model.layers[0]._forward_hooks) == 0


def test_a_layer_that_does_not_exist_stops_the_training(folders, tmp_path):
    vector = vectors_of(open_decoder(str(folders["llama"]), device="cpu")).at()
    with pytest.raises(VectorError, match="there is no layer 3"):
        trained(folders["llama"], tmp_path, PreventativeSteering(vector, layer=3, alpha=1))


def test_base_against_base_by_hand():
    """One prompt with answers at 0 and 1: one drawn, the other the rest, so that rounds are +1 or -1."""
    pool = {"t": np.array([[0.0, 1.0]])}
    assert base_deviations(pool, 1, 0)["t"] == pytest.approx(1, abs=0.01)
    assert drift_threshold(pool, 1, false_alarms=0.05, checks=1, seed=0) == pytest.approx(1, abs=0.02)


def test_the_threshold_keeps_its_rate_of_false_alarms():
    """Normal projections: fresh answers of an unchanged model alarm about as often as was asked for."""
    rng = np.random.default_rng(0)
    alarms = []
    for seed in range(60):
        pool = {name: rng.normal(size=(8, 16)) for name in ("a", "b")}
        deviations = base_deviations(pool, 4, seed)
        limit = drift_threshold(pool, 4, false_alarms=0.2, checks=5, seed=seed)
        moved = [
            abs(rng.normal(size=(8, 4)).mean() - pool[name].mean()) / deviations[name]
            for _ in range(5)
            for name in pool
        ]
        alarms.append(max(moved) > limit)
    assert 0.03 < np.mean(alarms) < 0.4


def test_the_monitor_in_a_training_reports_and_alarms_when_the_policy_drifts(folders, tmp_path):
    decoder = open_decoder(str(folders["llama"]), device="cpu")
    settings = {"every": 2, "answers": 3, "pool": 9, "checks": 3, "max_new_tokens": 8}
    calm = DriftMonitor(decoder, {"t": vectors_of(decoder)}, PROBES, **settings)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert calm.check(decoder.model, 0)["alarm"] == {"t": False}
    assert torch.equal(torch.get_rng_state(), before)
    trainer, _ = trained(folders["llama"], tmp_path, calm, steps=6, rate=1e-7)
    assert [row["step"] for row in calm.history] == [0, 2, 4, 6]
    assert not any(row["alarm"]["t"] for row in calm.history)
    logged = {row["step"]: row["drift/t"] for row in trainer.state.log_history if "drift/t" in row}
    assert logged == {row["step"]: row["shift"]["t"] for row in calm.history[1:]}

    wild = DriftMonitor(decoder, {"t": vectors_of(decoder)}, PROBES, stop=True, **settings)
    stopped, _ = trained(folders["llama"], tmp_path, wild, steps=20, rate=0.1)
    assert wild.history[-1]["alarm"]["t"]
    assert abs(wild.history[-1]["shift"]["t"]) > wild.limit("t")
    assert stopped.state.global_step < 20


def test_watching_does_not_change_the_training(folders, tmp_path):
    decoder = open_decoder(str(folders["llama"]), device="cpu")
    watch = DriftMonitor(
        decoder, {"t": vectors_of(decoder)}, PROBES, every=1, answers=2, pool=4, max_new_tokens=4
    )
    plain, _ = trained(folders["llama"], tmp_path, steps=3)
    watched, _ = trained(folders["llama"], tmp_path, watch, steps=3)
    assert torch.equal(weights(plain), weights(watched))


def test_wrong_settings_all_at_once(folders):
    decoder = open_decoder(str(folders["llama"]), device="cpu")
    with pytest.raises(ConfigError) as caught:
        DriftMonitor(decoder, {}, [], every=0, answers=4, pool=4, false_alarms=1)
    assert len(caught.value.problems) == 4
    other = open_decoder(str(folders["qwen"]), device="cpu")
    with pytest.raises(VectorError, match="family"):
        DriftMonitor(decoder, {"t": vectors_of(other)}, PROBES)
