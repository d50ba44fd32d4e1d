"""Formulas on numbers worked out by hand: difference of means, projection, shift, projection difference, doses."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from asked_of_decoders import TEXTS, ask

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from reward_models.persona_vectors import (  # noqa: E402
    PersonaVectors,
    Steering,
    SteeringStrength,
    choose_layer,
    difference_of_means,
    extract,
    open_decoder,
    operating_point,
    project,
    random_like,
    screen,
    shift,
    shuffled,
    steering_strengths,
)
from reward_models.persona_vectors.decoder import Identity  # noqa: E402
from reward_models.persona_vectors.monitoring import (  # noqa: E402
    projection,
    screen_pairs,
    shift_between,
)
from synthesizeme.errors import DataError, VectorError  # noqa: E402
from synthesizeme.types import Failure, Message, PreferencePair  # noqa: E402

PROMPTS = [ask(text) for text in TEXTS]
HERE = Identity("llama", 2, 2, "0123456789abcdef")


def small(layer=1, **facts):
    """Directions (3, 4) at layer 1, (0, 2) at layer 2 and (1, 0) after the final norm."""
    rows = np.array([[3, 4], [0, 2], [1, 0]], dtype=np.float32)
    return PersonaVectors("t", rows, HERE.document(), layer, facts)


def of(decoder, seed=0, layer=1):
    drawn = np.random.default_rng(seed).normal(size=(decoder.layers + 1, decoder.width)).astype(np.float32)
    return PersonaVectors("t", drawn, decoder.identity.document(), layer)


def test_the_difference_of_means_by_hand():
    # Two layers of width 2. Layer 1: ((1,0)+(3,2))/2 - (1,1) = (1,0). Layer 2: (0,4) - (2,2) = (-2,2).
    positive = np.array([[[1, 0], [0, 4]], [[3, 2], [0, 4]]], dtype=np.float32)
    negative = np.array([[[1, 1], [2, 2]]], dtype=np.float32)
    assert difference_of_means(positive, negative).tolist() == [[1, 0], [-2, 2]]
    assert difference_of_means(negative, positive).tolist() == [[-1, 0], [2, -2]]
    with pytest.raises(DataError, match="0 negative"):
        difference_of_means(positive, negative[:0])
    with pytest.raises(DataError, match="not finite"):
        difference_of_means(positive * np.nan, negative)


def test_projection_and_shift_by_hand():
    # (5, 10) . (3, 4)/5 = 11; at layer 2 (1, 7) . (0, 1) = 7.
    states = np.array([[[5, 10], [1, 7]]], dtype=np.float32)
    assert projection(states, small()) == pytest.approx([11])
    assert projection(states, small(), 2) == pytest.approx([7])
    moved = shift_between(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    # differences 1, 2, 3: mean 2, standard deviation 1, error 1/sqrt(3)
    assert (moved.mean, moved.standard_error) == pytest.approx((2, 1 / 3**0.5))
    assert moved.values.tolist() == [1, 2, 3]


def test_extract_reads_every_answer_under_its_instruction(decoder):
    from reward_models.persona_vectors import Rollout

    def row(side, told, answer):
        return Rollout(pair=0, side=side, instruction=told, question=TEXTS[0], answer=answer)

    up = [row("positive", "Be loud.", "Yes!"), row("positive", "Be loud.", "The fox!")]
    down = [row("negative", "Be calm.", "Yes.")]
    found = extract(decoder, "t", up, down, judge="exact")
    loud = decoder.response_states([PROMPTS[0]] * 2, ["Yes!", "The fox!"], ["Be loud."] * 2)
    calm = decoder.response_states([PROMPTS[0]], ["Yes."], ["Be calm."])
    assert np.allclose(found.directions, loud.mean(axis=0) - calm[0], atol=1e-5)
    assert (found.facts["positive"], found.facts["negative"], found.facts["judge"]) == (2, 1, "exact")
    assert found.layer is None
    with pytest.raises(VectorError, match="no layer was chosen"):
        found.at()


def test_answers_of_another_model_are_no_source_of_a_vector(llama):
    from reward_models.persona_vectors import Rollout

    def row(side, model):
        return Rollout(pair=0, side=side, instruction="", question=TEXTS[0], answer=side, model=model)

    own = llama.identity.fingerprint
    extract(llama, "t", [row("positive", own)], [row("negative", "")])
    with pytest.raises(VectorError, match=f"given by the model ffff; this one is {own}"):
        extract(llama, "t", [row("positive", own)], [row("negative", "ffff")])


def test_after_the_final_norm_a_model_is_read_and_not_steered(llama):
    vectors = of(llama, layer=llama.layers + 1)
    ids = torch.tensor([llama.reading(PROMPTS[0], "").ids])
    with torch.inference_mode():
        last = llama.model(ids, output_hidden_states=True).hidden_states[-1][0, -1].numpy()
    assert project(llama, vectors, PROMPTS[:1]) == pytest.approx([last @ vectors.unit()], abs=1e-4)
    with pytest.raises(VectorError, match=r"no layer 3 to steer at.*from 1 to 2.*3 .* is only read"):
        Steering(llama.model, vectors.at(), layer=3, alpha=1)


def test_projecting_a_prompt_and_the_shift_of_a_model(decoder, folders):
    vectors = of(decoder)
    found = project(decoder, vectors, PROMPTS)
    assert found == pytest.approx(decoder.prompt_states(PROMPTS)[:, 0] @ vectors.unit(), abs=1e-4)
    tuned = open_decoder(
        str(folders[{"llama": "llama", "qwen2": "qwen", "gpt2": "gpt2"}[decoder.identity.family]]),
        device="cpu",
    )
    assert shift(decoder, tuned, vectors, PROMPTS).mean == 0
    # A block that adds 2 v to all it returns has moved by 2 |v| along v.
    tuned.blocks[0].register_forward_hook(
        lambda block, inputs, output: (
            (output[0] + 2 * torch.tensor(vectors.at()), *output[1:])
            if isinstance(output, tuple)
            else output + 2 * torch.tensor(vectors.at())
        )
    )
    moved = shift(decoder, tuned, vectors, PROMPTS)
    assert moved.mean == pytest.approx(2 * float(np.linalg.norm(vectors.at())), rel=1e-4)
    assert moved.standard_error == pytest.approx(0, abs=1e-4)


def test_the_projection_difference_is_that_of_the_sample_beside_the_own_answer(decoder):
    vectors = of(decoder)
    found = screen(decoder, vectors, PROMPTS[:2], ["Yes!", "The fox."], ["No.", "The fox."])
    states = [decoder.response_states(PROMPTS[:1], [text])[0, 0] for text in ("Yes!", "No.")]
    assert found[0] == pytest.approx(float((states[0] - states[1]) @ vectors.unit()), abs=1e-4)
    assert found[1] == pytest.approx(0, abs=1e-5)


def test_a_pair_pushes_by_chosen_less_rejected_whatever_the_own_answer(llama):
    pair = PreferencePair(pair_id="p", user_id="u", prompt=PROMPTS[0],
                          chosen=(Message(role="assistant", content="Yes!"),),
                          rejected=(Message(role="assistant", content="No."),))  # fmt: skip
    pushes = [
        screen_pairs(llama, of(llama), [pair], lambda prompts, told, own=own: [own])[0].push
        for own in ("The river.", "Lamp!")
    ]
    assert pushes[0] == pytest.approx(pushes[1], abs=1e-4)
    with pytest.raises(DataError, match="no pairs"):
        screen_pairs(llama, of(llama), [], lambda prompts, told: [])


def dose(alpha, trait, coherence):
    return SteeringStrength(
        alpha=alpha, trait=trait, trait_error=1, coherence=coherence, answers=9, failures=0
    )


def test_the_operating_point_is_the_largest_coherent_alpha():
    doses = [dose(-2, 10, 95), dose(0, 30, 99), dose(2, 70, 80), dose(4, 95, 79.9)]
    assert operating_point(doses).alpha == 2
    assert operating_point(doses[3:]) is None
    assert operating_point(doses, coherent=50).alpha == 4


def test_doses_are_means_over_what_was_scored(llama):
    seen = []

    def score(questions, answers):
        seen.append(list(questions))
        return [90.0, 30.0, Failure(kind="parse", detail="none"), 60.0]

    def coherence(questions, answers):
        return [100.0, 80.0, 70.0, 90.0]

    [found] = steering_strengths(llama, of(llama).at(), layer=1, alphas=[0.5], prompts=PROMPTS, score=score,
                            coherence=coherence, generate=llama.speaker(max_new_tokens=2))  # fmt: skip
    # 90, 30, 60: mean 60, standard deviation 30, error 30 / sqrt(3)
    assert (found.trait, found.coherence, found.answers, found.failures) == (60, 90, 3, 1)
    assert found.trait_error == pytest.approx(30 / 3**0.5)
    assert seen == [list(TEXTS)]
    with pytest.raises(DataError, match="could be scored"):
        steering_strengths(llama, of(llama).at(), layer=1, alphas=[1], prompts=PROMPTS, coherence=coherence,
                      score=lambda q, a: [Failure(kind="parse", detail="x")] * 4,
                      generate=llama.speaker(max_new_tokens=2))  # fmt: skip


def test_the_layer_of_the_largest_signed_effect_among_the_coherent_ones(llama):
    """Effects by alpha and layer are told apart by how often the model was asked: +1, -1 of layer 1, then 2."""
    calls = []

    def score(questions, answers):
        return [[60.0, 20.0, 90.0, 10.0][(len(calls) - 1) % 4]] * len(answers)

    def generate(prompts, instructions):
        calls.append(1)
        return ["x"] * len(prompts)

    for coherences, layer in (([100] * 4, 2), ([100, 100, 100, 50], 1)):
        calls.clear()
        found = choose_layer(llama, replace(of(llama), layer=None), prompts=PROMPTS, generate=generate, score=score,
                             coherence=lambda q, a, c=coherences: [float(c[len(calls) - 1])] * len(a))  # fmt: skip
        assert found.layer == layer
        assert found.facts["layer_effects"]["1"] == 40
        assert found.facts["layer_effects"]["2"] == (80 if layer == 2 else None)
    calls.clear()  # the first four doses, at alpha 1, are incoherent; at a half they are not
    found = choose_layer(llama, of(llama), prompts=PROMPTS, generate=generate, score=score,
                         coherence=lambda q, a: [0.0 if len(calls) <= 4 else 100.0] * len(a))  # fmt: skip
    assert (found.layer, found.facts["layer_alpha"], len(calls)) == (2, 0.5, 8)
    calls.clear()
    with pytest.raises(DataError, match=r"no layer of 2 stays coherent .*0\.25 times"):
        choose_layer(llama, of(llama), prompts=PROMPTS, generate=generate, score=score,
                     coherence=lambda q, a: [0.0] * len(a))  # fmt: skip


def test_controls_have_the_length_they_say(llama):
    vectors = of(llama)
    drawn = random_like(vectors, 1)
    assert np.linalg.norm(drawn.directions, axis=1) == pytest.approx(
        np.linalg.norm(vectors.directions, axis=1), rel=1e-5
    )
    assert not np.allclose(drawn.directions, random_like(vectors, 2).directions)
    positive, negative = np.ones((6, 1, 2), dtype=np.float32), np.zeros((6, 1, 2), dtype=np.float32)
    found = shuffled(positive, negative, 0)
    assert abs(float(found[0, 0])) < 1
    assert np.array_equal(found, shuffled(positive, negative, 0))


def test_vectors_on_disk(tmp_path):
    vectors = small(layer=2, pairs=7)
    vectors.save(tmp_path / "v")
    found = PersonaVectors.load(tmp_path / "v")
    assert np.array_equal(found.directions, vectors.directions)
    assert (found.trait, found.layer, found.facts["pairs"], found.model) == ("t", 2, 7, HERE.document())
    document = json.loads((tmp_path / "v" / "vectors.json").read_text())
    for change, said in (({"format_version": 9}, "format version 9"), ({"layer": 5}, "changed since")):
        (tmp_path / "v" / "vectors.json").write_text(json.dumps(document | change))
        with pytest.raises(DataError, match=said):
            PersonaVectors.load(tmp_path / "v")
    (tmp_path / "v" / "vectors.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        PersonaVectors.load(tmp_path / "v")


@pytest.mark.parametrize(
    ("effects", "layer", "said"),
    [
        ({"1": 3.0, "2": 5.0}, 2, ""),
        ({"1": 3.0, "2": 0.0}, 2, "at layer 2; name another"),
        ({"1": None, "2": 0.0}, 2, "at any layer; do not trust"),
        ({}, 2, "was not checked"),
    ],
)
def test_what_the_effects_of_the_layers_say_against_a_vector(effects, layer, said):
    caution = small(layer=layer, layer_effects=effects).caution
    assert said in caution
    assert bool(said) == bool(caution)
    assert "was not checked" in small().caution


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (Identity("llama", 2, 4, "x"), "width 2; this one has width 4"),
        (Identity("llama", 3, 2, "x"), "layers 2; this one has layers 3"),
        (Identity("qwen2", 2, 2, "x"), "family llama; this one has family qwen2"),
        (Identity("llama", 2, 2, "fedcba9876543210"), "fedcba9876543210"),
    ],
)
def test_a_vector_of_another_model_is_refused(other, said):
    with pytest.raises(VectorError, match=said):
        small().check(other)
    small().check(HERE)


def test_a_fine_tuned_model_of_the_same_shape_is_taken_where_one_says_so():
    small().check(Identity("llama", 2, 2, "fedcba9876543210"), derived=True)
    with pytest.raises(VectorError, match="width"):
        small().check(Identity("llama", 2, 4, "x"), derived=True)


def test_every_use_checks_the_model(folders):
    llama, qwen = (open_decoder(str(folders[shape]), device="cpu") for shape in ("llama", "qwen"))
    vectors = of(qwen)
    for use in (
        lambda: project(llama, vectors, PROMPTS),
        lambda: screen(llama, vectors, PROMPTS[:1], ["a"], ["b"]),
        lambda: choose_layer(llama, vectors, prompts=PROMPTS, generate=None, score=None, coherence=None),
    ):
        with pytest.raises(VectorError, match="family"):
            use()


@pytest.mark.parametrize("layer", [0, 4])
def test_a_layer_that_does_not_exist_is_refused(layer):
    for use in (small().at, small().unit, small().chosen):
        with pytest.raises(VectorError, match=f"there is no layer {layer}. Cure: name one from 1 to 3"):
            use(layer)
    with pytest.raises(VectorError, match="has no length"):
        replace(small(), directions=np.zeros((3, 2), dtype=np.float32)).unit(1)
