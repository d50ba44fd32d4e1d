from __future__ import annotations

import numpy as np
import pytest
from asked_of_decoders import TEXTS, ask

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from reward_models.persona_vectors import Steering  # noqa: E402
from reward_models.persona_vectors.decoder import hidden_of  # noqa: E402
from synthesizeme.errors import ConfigError, VectorError  # noqa: E402

PROMPT = ask(TEXTS[0])


def direction(seed=0, width=32):
    return np.random.default_rng(seed).normal(size=width).astype(np.float32)


def logits(decoder, ids, mask=None):
    with torch.inference_mode():
        return decoder.model(torch.tensor(ids), attention_mask=mask, use_cache=False).logits


def rows(decoder):
    return [decoder.reading(PROMPT, "The fox sleeps near the lamp.").ids]


def test_alpha_0_changes_no_bit(decoder):
    ids = rows(decoder)
    before = logits(decoder, ids)
    with Steering(decoder.model, direction(), layer=1, alpha=0):
        assert torch.equal(logits(decoder, ids), before)
    with Steering(decoder.model, direction(), layer=1, alpha=1):
        assert not torch.equal(logits(decoder, ids), before)


def test_steering_all_positions_is_adding_to_the_output_of_the_block_by_hand(decoder):
    ids, vector = rows(decoder), torch.tensor(direction())
    for layer in (1, 2):
        block = decoder.blocks[layer - 1]

        def by_hand(module, inputs, output):
            hidden = hidden_of(output) + 1.5 * vector
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        handle = block.register_forward_hook(by_hand)
        expected = logits(decoder, ids)
        handle.remove()
        with Steering(decoder.model, vector, layer=layer, alpha=1.5):
            assert torch.equal(logits(decoder, ids), expected)


@pytest.mark.parametrize("tuple_", [False, True])
def test_a_block_may_return_a_tensor_or_a_tuple(llama, tuple_):
    """Older families return (hidden, cache, ...), newer ones the tensor."""

    class Block(torch.nn.Module):
        def forward(self, x):
            return (x, "cache", 3) if tuple_ else x

    llama.model.model.layers = torch.nn.ModuleList([Block(), Block()])
    x = torch.zeros(1, 2, 32)
    with Steering(llama.model, np.ones(32), layer=2, alpha=2):
        output = llama.model.model.layers[1](x)
    hidden = output[0] if tuple_ else output
    assert torch.equal(hidden, torch.full((1, 2, 32), 2.0))
    if tuple_:
        assert output[1:] == ("cache", 3)
    untouched = llama.model.model.layers[1](x)
    assert torch.equal(untouched[0] if tuple_ else untouched, x)


def test_afterwards_the_model_is_as_it_was_also_after_an_error(decoder):
    ids = rows(decoder)
    before, hooks = logits(decoder, ids), len(decoder.blocks[0]._forward_hooks)
    with pytest.raises(RuntimeError, match="stop"), Steering(decoder.model, direction(), layer=1, alpha=3):
        raise RuntimeError("stop")
    assert len(decoder.blocks[0]._forward_hooks) == hooks
    assert torch.equal(logits(decoder, ids), before)
    steering = Steering(decoder.model, direction(), layer=1, alpha=3).__enter__()
    steering.__enter__()
    steering.remove()
    steering.remove()
    assert torch.equal(logits(decoder, ids), before)


def test_two_at_a_time_add_up_and_opposite_ones_cancel(llama):
    ids, vector = rows(llama), direction()
    with Steering(llama.model, vector, layer=1, alpha=3):
        expected = logits(llama, ids)
    with Steering(llama.model, vector, layer=1, alpha=1), Steering(llama.model, vector, layer=1, alpha=2):
        assert torch.allclose(logits(llama, ids), expected, atol=1e-5)
    with Steering(llama.model, vector, layer=1, alpha=1), Steering(llama.model, vector, layer=1, alpha=-1):
        assert torch.allclose(logits(llama, ids), logits(llama, ids), atol=1e-5)


@pytest.mark.parametrize("positions", ["all", "prompt", "response"])
def test_teacher_forcing_with_the_mask_is_generation_with_the_cache(decoder, positions):
    """The same tokens get the same logits, whether they were drawn one by one or are read at once."""
    opening = torch.tensor([decoder._render.opening(PROMPT)])
    with Steering(decoder.model, direction(), layer=1, alpha=2, positions=positions) as steering:
        with torch.inference_mode():
            drawn = decoder.model.generate(
                opening, attention_mask=torch.ones_like(opening), max_new_tokens=5, do_sample=False,
                return_dict_in_generate=True, output_logits=True, pad_token_id=0, eos_token_id=None,
            )  # fmt: skip
        tokens = drawn.sequences
        mask = torch.arange(tokens.shape[1])[None] >= opening.shape[1]
        with steering.response(mask):
            forced = logits(decoder, tokens.tolist())
    step_by_step = torch.stack(drawn.logits, dim=1)
    assert torch.allclose(forced[:, opening.shape[1] - 1 : -1], step_by_step, atol=1e-4)


def test_prompt_and_response_are_everything_and_do_not_overlap(llama):
    """What is added, position by position: response tokens at 3 and 4 of 5; 2 predicts the first of them."""
    mask = torch.tensor([[False, False, False, True, True]])
    hidden = torch.zeros(1, 5, 32)
    added = {}
    for positions in ("prompt", "response", "all"):
        steering = Steering(llama.model, np.ones(32), layer=1, alpha=1, positions=positions)
        with steering.response(mask):
            added[positions] = steering._steer(llama.blocks[0], None, hidden)[0, :, 0].tolist()
    assert added["prompt"] == [1, 1, 0, 0, 0]
    assert added["response"] == [0, 0, 1, 1, 1]
    assert added["all"] == [1, 1, 1, 1, 1]


def test_left_padding_does_not_matter_to_steered_generation(llama):
    prompts = [ask(text) for text in TEXTS]
    with Steering(llama.model, direction(), layer=1, alpha=2, positions="response"):
        together = llama.generate(prompts, max_new_tokens=6, temperature=0)
        llama.batch_size = 1
        assert llama.generate(prompts, max_new_tokens=6, temperature=0) == together


def test_training_only(llama):
    ids = rows(llama)
    before = logits(llama, ids)
    with Steering(llama.model, direction(), layer=1, alpha=2, training_only=True):
        assert torch.equal(logits(llama, ids), before)
        llama.model.train()
        assert not torch.equal(logits(llama, ids), before)
    llama.model.eval()


@pytest.mark.parametrize("layer", [0, 3, -1])
def test_a_layer_that_does_not_exist(decoder, layer):
    with pytest.raises(
        VectorError, match=rf"there is no layer {layer} to steer at\. Cure: name one from 1 to 2"
    ):
        Steering(decoder.model, direction(), layer=layer, alpha=1)


def test_a_vector_of_another_width_or_without_a_value(llama):
    with pytest.raises(VectorError, match=r"shape \(64,\).*width 32"):
        Steering(llama.model, direction(width=64), layer=1, alpha=1)
    with pytest.raises(VectorError, match="not finite"):
        Steering(llama.model, np.full(32, np.nan), layer=1, alpha=1)
    with pytest.raises(ConfigError, match="expected one of all, prompt, response"):
        Steering(llama.model, direction(), layer=1, alpha=1, positions="answer")


def test_a_mask_of_another_shape_and_a_missing_one(llama):
    ids = rows(llama)
    with Steering(llama.model, direction(), layer=1, alpha=1, positions="response") as steering:
        with steering.response(torch.ones(1, 2)), pytest.raises(VectorError, match="mask of the response"):
            logits(llama, ids)
        llama.model.train()
        with pytest.raises(ConfigError, match="needs the mask"):
            logits(llama, ids)
