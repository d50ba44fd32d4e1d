from __future__ import annotations

import numpy as np
import pytest
from asked_of_decoders import TEXTS, ask, published

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from reward_models.persona_vectors import open_decoder  # noqa: E402
from reward_models.persona_vectors.decoder import blocks_of, identify  # noqa: E402
from synthesizeme.errors import ConfigError, DataError  # noqa: E402

PROMPTS = [ask(text) for text in TEXTS]
ANSWERS = ["Yes.", "The fox sleeps near the old tower and the lamp.", "No!", "The river."]


@pytest.mark.parametrize("told", ["", "Answer calmly."])
def test_means_are_those_of_the_published_code_and_both_sides_of_the_final_norm_are_there(chatml, told):
    found = chatml.response_states(PROMPTS, ANSWERS, [told] * 4)
    theirs = np.stack([published(chatml, *row, told) for row in zip(PROMPTS, ANSWERS, strict=True)])
    assert found.shape == (4, chatml.layers + 1, 32)
    assert np.allclose(found[:, : chatml.layers - 1], theirs[:, :-1], atol=1e-5)
    assert np.allclose(found[:, -1], theirs[:, -1], atol=1e-5)
    before = found[:, chatml.layers - 1]
    assert not np.allclose(before, theirs[:, -1], atol=1e-3)
    with torch.inference_mode():
        read = chatml.reading(PROMPTS[0], ANSWERS[0], told)
        normed = []
        handle = chatml.model.model.norm.register_forward_pre_hook(lambda _, inputs: normed.append(inputs[0]))
        chatml.model(torch.tensor([read.ids]))
        handle.remove()
    assert np.allclose(before[0], normed[0][0, read.begin :].mean(dim=0).numpy(), atol=1e-5)


def test_what_the_template_puts_behind_a_response_is_not_the_response(chatml):
    for prompt, answer in zip(PROMPTS, ANSWERS, strict=True):
        read = chatml.reading(prompt, answer)
        assert chatml.tokenizer.decode(read.ids[read.begin : read.end]) == answer
        assert "<|im_end|>" in chatml.tokenizer.decode(read.ids[: read.begin])


def test_a_layer_is_the_hidden_state_of_its_index(decoder):
    reading = decoder.reading(PROMPTS[0], ANSWERS[1])
    assert 0 < reading.begin < len(reading.ids) - 1
    with torch.inference_mode():
        states = decoder.model(torch.tensor([reading.ids]), output_hidden_states=True).hidden_states
    [found] = decoder.states([reading], mean=True)
    for layer in [*range(1, decoder.layers), decoder.layers + 1]:
        by_hand = states[min(layer, decoder.layers)][0, reading.begin :].mean(dim=0)
        assert np.allclose(found[layer - 1], by_hand.numpy(), atol=1e-5)


def test_the_response_begins_where_the_prompt_ends(decoder):
    opening = decoder._render.opening(PROMPTS[0], "Answer calmly.")
    reading = decoder.reading(PROMPTS[0], ANSWERS[1], "Answer calmly.")
    assert reading.ids[: reading.begin] == opening[: reading.begin]
    assert decoder.tokenizer.decode(reading.ids[reading.begin :]).strip().startswith("The fox sleeps")
    assert "Answer calmly." in decoder.tokenizer.decode(opening)


def test_states_do_not_depend_on_the_company_or_the_padding(decoder):
    together = decoder.response_states(PROMPTS, ANSWERS)
    assert together.shape == (4, decoder.layers + 1, 32)
    decoder.batch_size = 1
    alone = decoder.response_states(PROMPTS, ANSWERS)
    assert np.allclose(together, alone, atol=1e-5)
    decoder.batch_size = 3
    back = decoder.response_states(PROMPTS[::-1], ANSWERS[::-1])[::-1]
    assert np.allclose(back, alone, atol=1e-5)
    last = decoder.prompt_states(PROMPTS)
    decoder.batch_size = 1
    assert np.allclose(last, decoder.prompt_states(PROMPTS), atol=1e-5)
    assert not np.allclose(last, alone, atol=1e-2)


def test_the_state_of_a_prompt_is_that_of_its_last_token(decoder):
    ids = decoder._render.opening(PROMPTS[1])
    with torch.inference_mode():
        states = decoder.model(torch.tensor([ids]), output_hidden_states=True).hidden_states
    found = decoder.prompt_states([PROMPTS[1]])[0]
    assert np.allclose(found[0], states[1][0, -1].numpy(), atol=1e-5)


def test_greedy_answers_do_not_depend_on_the_company(decoder):
    together = decoder.generate(PROMPTS, max_new_tokens=6, temperature=0)
    decoder.batch_size = 1
    assert decoder.generate(PROMPTS, max_new_tokens=6, temperature=0) == together


def test_drawn_answers_are_those_of_the_seed_and_leave_the_global_state_alone(llama):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = llama.generate(PROMPTS, max_new_tokens=8, seed=1)
    assert torch.equal(torch.rand(2), expected)
    assert llama.generate(PROMPTS, max_new_tokens=8, seed=1) == first
    assert llama.generate(PROMPTS, max_new_tokens=8, seed=2) != first
    marked = llama.generate(PROMPTS, max_new_tokens=1, seed=1, cut_mark="…")
    assert all(text.endswith("…") for text in marked if text)


def test_generation_leaves_the_training_mode_as_it_was(llama):
    llama.model.train()
    llama.generate(PROMPTS[:1], max_new_tokens=2)
    assert llama.model.training


def test_a_model_has_one_identity_in_any_format_and_another_after_a_change(folders, llama):
    one = llama.identity
    assert (one.family, one.layers, one.width) == ("llama", 2, 32)
    half = open_decoder(str(folders["llama"]), device="cpu").model
    assert identify(half.double()).fingerprint == one.fingerprint
    with torch.no_grad():
        half.model.layers[0].mlp.down_proj.weight[0, 0] += 1
    assert identify(half).fingerprint != one.fingerprint
    assert (
        len({identify(open_decoder(str(f), device="cpu").model).fingerprint for f in folders.values()}) == 3
    )


def test_weights_are_read_in_the_format_asked_for(folders, llama):
    half = open_decoder(str(folders["llama"]), device="cpu", dtype="bfloat16")
    assert (half.model.dtype, llama.model.dtype) == (torch.bfloat16, torch.float32)
    assert half.identity.fingerprint != llama.identity.fingerprint
    rough, exact = (one.response_states(PROMPTS, ANSWERS) for one in (half, llama))
    assert np.allclose(rough, exact, atol=0.05)
    assert not np.allclose(rough, exact, atol=1e-5)
    with pytest.raises(ConfigError, match="dtype is 'float8'; expected one of auto, float32, bfloat16"):
        open_decoder(str(folders["llama"]), dtype="float8")


def test_what_has_no_blocks_is_refused(folders):
    import transformers

    class Flat(torch.nn.Module):
        config = transformers.LlamaConfig(num_hidden_layers=3)

    with pytest.raises(ConfigError, match="one list of 3 blocks, found none"):
        blocks_of(Flat())


def test_a_folder_without_a_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataError, match="no causal language model can be read here"):
        open_decoder(str(tmp_path))
