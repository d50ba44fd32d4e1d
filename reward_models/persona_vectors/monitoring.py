"""Reading a trait off a model or data: before it answers, before and after training, and during it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from transformers import TrainerCallback

from reward_models.persona_vectors.decoder import Decoder
from reward_models.persona_vectors.rollouts import Generate, Prompt
from reward_models.persona_vectors.vectors import PersonaVectors
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.types import Frozen, PreferencePair


class Shift(NamedTuple):
    """How far a model has moved along a direction."""

    mean: float
    """Mean over the prompts, in units of the activations."""
    standard_error: float
    """Over the prompts."""
    values: NDArray[np.float64]
    """(n,) one for each prompt."""


def projection(
    states: NDArray[np.float32], vectors: PersonaVectors, layer: int | None = None
) -> NDArray[np.float64]:
    """``h_l . v_l / |v_l|`` of activations (n, layers + 1, D), shape (n,)."""
    layer = vectors.layer if layer is None else layer
    unit = vectors.unit(layer)
    assert layer is not None  # `unit` raised otherwise
    found: NDArray[np.float64] = states[:, layer - 1].astype(np.float64) @ unit.astype(np.float64)
    return found


def project(
    decoder: Decoder,
    vectors: PersonaVectors,
    prompts: Sequence[Prompt],
    instructions: Sequence[str] | None = None,
    *,
    layer: int | None = None,
    derived: bool = False,
) -> NDArray[np.float64]:
    """Projection of the last prompt token on the direction: the trait that an answer is about to show.

    Args:
        decoder: The model.
        vectors: Its vectors.
        prompts: n conversations.
        instructions: n system messages, "" for none.
        layer: By default the chosen one.
        derived: Whether the model was fine-tuned from the vectors' own.

    Returns:
        Shape (n,).

    Raises:
        VectorError: the vectors are another model's, or there is no such layer.

    References:
        arXiv 2507.21509, section 3.3.
    """
    vectors.check(decoder.identity, derived=derived)
    return projection(decoder.prompt_states(prompts, instructions), vectors, layer)


def shift(
    base: Decoder,
    tuned: Decoder,
    vectors: PersonaVectors,
    prompts: Sequence[Prompt],
    *,
    layer: int | None = None,
) -> Shift:
    """How far fine-tuning moved a model: mean difference of `project` between the model after and before.

    Raises:
        VectorError: `base` is not the vectors' own model, or `tuned` has another shape.

    References:
        arXiv 2507.21509, section 4.2.
    """
    before = project(base, vectors, prompts, layer=layer)
    return shift_between(before, project(tuned, vectors, prompts, layer=layer, derived=True))


def shift_between(before: NDArray[np.float64], after: NDArray[np.float64]) -> Shift:
    """The shift from two projections of the same prompts, (n,) each.

    >>> shift_between(np.array([1.0, 2.0]), np.array([2.0, 5.0]))[:2]
    (2.0, 1.0)
    """
    values = after - before
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return Shift(float(values.mean()), float(error), values)


class ScreenedPair(Frozen):
    """A preference pair along the direction of a trait, in units of the activations."""

    pair_id: str
    """The pair."""
    user_id: str
    """Whose choice it is."""
    chosen: float
    """The chosen response less the model's own answer."""
    rejected: float
    """The rejected response less the model's own answer."""

    @property
    def projection(self) -> float:
        """Chosen less rejected: where training on this preference moves the model along the direction."""
        return self.chosen - self.rejected


def screen(
    decoder: Decoder,
    vectors: PersonaVectors,
    prompts: Sequence[Prompt],
    responses: Sequence[str],
    own: Sequence[str],
    *,
    layer: int | None = None,
    derived: bool = False,
) -> NDArray[np.float64]:
    """Projection difference: mean response activation of a sample less that of the model's own answer.

    Args:
        decoder: The model that is to be trained.
        vectors: Its vectors.
        prompts: n conversations.
        responses: n responses that it would be trained on.
        own: n answers of the model itself.
        layer: By default the chosen one.
        derived: Whether the model was fine-tuned from the vectors' own.

    Returns:
        Shape (n,): positive where training would move toward the trait.

    Raises:
        VectorError: the vectors are another model's, or there is no such layer.

    References:
        arXiv 2507.21509, section 6.1.
    """
    vectors.check(decoder.identity, derived=derived)
    sample, base = (decoder.response_states(prompts, texts) for texts in (responses, own))
    return projection(sample, vectors, layer) - projection(base, vectors, layer)


def screen_pairs(
    decoder: Decoder,
    vectors: PersonaVectors,
    pairs: Sequence[PreferencePair],
    generate: Generate,
    *,
    layer: int | None = None,
    derived: bool = False,
) -> list[ScreenedPair]:
    """Both responses of preference pairs beside the model's own answer, most pushed toward the trait first.

    Raises:
        VectorError: as `screen`.
        DataError: there are no pairs.
    """
    if not pairs:
        raise DataError("there are no pairs to screen", cure="give a file with at least one.")
    prompts = [pair.prompt for pair in pairs]
    own = list(generate(prompts, [""] * len(prompts)))
    texts = [[pair.chosen_text for pair in pairs], [pair.rejected_text for pair in pairs]]
    sides = [screen(decoder, vectors, prompts, side, own, layer=layer, derived=derived) for side in texts]
    found = [
        ScreenedPair(pair_id=pair.pair_id, user_id=pair.user_id, chosen=float(up), rejected=float(down))
        for pair, up, down in zip(pairs, *sides, strict=True)
    ]
    return sorted(found, key=lambda pair: -pair.projection)


RESAMPLES, AT_ONCE = 4000, 500
_log = logging.getLogger(__name__)
Matrix = NDArray[np.float64]


def drift_threshold(
    pool: Mapping[str, Matrix], drawn: int, *, false_alarms: float, checks: int, seed: int
) -> float:
    """How far answers of the base model stray from its other answers by chance, in standard deviations.

    `drawn` of the base's answers to each prompt play the fine-tuned model, the rest of them the base, again
    and again: base against base. What is kept of each round is the largest of the traits' distances, each in
    units of that trait's standard deviation over the rounds; the level allows for `checks` checks, so that
    the alarm is for a whole training and all traits together.

    Args:
        pool: By trait, projections of the base's answers, (prompts, answers of each).
        drawn: Answers to each prompt in one check.
        false_alarms: Probability of at least one alarm in `checks` checks of an unchanged model.
        checks: Number of checks of one training.
        seed: Of the draws.

    Returns:
        The threshold in standard deviations of `base_deviations`.
    """
    deviations = base_deviations(pool, drawn, seed)
    rounds = np.stack([_rounds(values, drawn, seed) / deviations[name] for name, values in pool.items()])
    largest = np.abs(rounds).max(axis=0)
    level = (1 - false_alarms) ** (1 / checks)
    return float(np.quantile(largest, level, method="higher"))


def base_deviations(pool: Mapping[str, Matrix], drawn: int, seed: int) -> dict[str, float]:
    """Standard deviation over base-against-base rounds of the mean difference, by trait."""
    return {name: float(_rounds(values, drawn, seed).std()) or 1.0 for name, values in pool.items()}


def _rounds(values: Matrix, drawn: int, seed: int) -> Matrix:
    """(R,) mean over prompts of `drawn` answers less the mean over the others, dealt out anew each time."""
    rng = np.random.default_rng(seed)
    found = np.empty(RESAMPLES)
    for start in range(0, RESAMPLES, AT_ONCE):
        dealt = rng.permuted(np.broadcast_to(values, (AT_ONCE, *values.shape)), axis=2)
        means = dealt[:, :, :drawn].mean(axis=(1, 2)) - dealt[:, :, drawn:].mean(axis=(1, 2))
        found[start : start + AT_ONCE] = means
    return found


class DriftMonitor(TrainerCallback):  # type: ignore[misc]
    """A callback for the stock trainers: every few steps the policy answers the probes and is read.

    A check's shift is the mean projection of the policy's fresh answers, read by the policy itself, less that
    of the base model's answers, read by the base. It is put into the trainer's log as ``drift/TRAIT``, and
    into `history`. An alarm is a shift larger, either way, than base answers differ from base answers
    by chance in a whole training (see `drift_threshold`).

    Args:
        decoder: The model before training; only its tokenizer and settings are used later.
        vectors: Directions by name, of that model.
        probes: Conversations that are asked at each check.
        every: Steps between two checks.
        answers: Answers to each probe in one check.
        pool: Answers of the base model to each probe, more than `answers`.
        checks: Most checks of the training; the threshold is for all of them together.
        false_alarms: Probability of an alarm in a training that changes nothing.
        stop: Whether an alarm ends the training.
        max_new_tokens: Most tokens of an answer.
        seed: Of the answers and the resampling; the trainer's own random state is left alone.

    Raises:
        VectorError: a vector is another model's, or has no layer chosen.
        ConfigError: a setting is out of range.

    References:
        arXiv 2507.21509, section 4.2, for the shift; the alarm is ours.
    """

    def __init__(
        self,
        decoder: Decoder,
        vectors: Mapping[str, PersonaVectors],
        probes: Sequence[Prompt],
        *,
        every: int = 10,
        answers: int = 4,
        pool: int = 16,
        checks: int = 20,
        false_alarms: float = 0.05,
        stop: bool = False,
        max_new_tokens: int = 64,
        seed: int = 0,
    ) -> None:
        _check(every=every, answers=answers, pool=pool, checks=checks, probes=len(probes), rate=false_alarms)
        for found in vectors.values():
            found.check(decoder.identity)
        self._tokenizer, self._batch_size = decoder.tokenizer, decoder.batch_size
        self._vectors, self._probes = dict(vectors), list(probes)
        self._every, self._answers, self._stop = every, answers, stop
        self._longest, self._seed = max_new_tokens, seed
        self.pool = self._read(decoder, pool, seed)
        """Projections of the base's answers by trait, (probes, pool)."""
        self.deviations = base_deviations(self.pool, answers, seed)
        self.threshold = drift_threshold(
            self.pool, answers, false_alarms=false_alarms, checks=checks, seed=seed + 1
        )
        """In standard deviations."""
        self.history: list[dict[str, Any]] = []
        """A row a check: step, shift and alarm of each trait."""

    def limit(self, trait: str) -> float:
        """Shift of a trait above which there is an alarm, in units of the activations."""
        return self.threshold * self.deviations[trait]

    def check(self, model: Any, step: int) -> dict[str, Any]:
        """Read a model now: the shift of every trait, and whether it is out of what chance gives."""
        decoder = Decoder(model, self._tokenizer, batch_size=self._batch_size)
        now = self._read(decoder, self._answers, self._seed + 1000 + step)
        row: dict[str, Any] = {"step": step, "shift": {}, "alarm": {}}
        for name, values in now.items():
            moved = float(values.mean() - self.pool[name].mean())
            row["shift"][name] = moved
            row["alarm"][name] = abs(moved) > self.limit(name)
        self.history.append(row)
        return row

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Check every `every` steps."""
        if state.global_step % self._every:
            return
        model = kwargs["model"]
        training = model.training
        try:
            row = self.check(model, state.global_step)
        finally:
            model.train(training)
        shifts = {f"drift/{name}": moved for name, moved in row["shift"].items()}
        state.log_history.append({**shifts, "step": state.global_step})
        if alarmed := [name for name, alarm in row["alarm"].items() if alarm]:
            _log.warning("step %d: the policy has drifted along %s", state.global_step, ", ".join(alarmed))
            control.should_training_stop = control.should_training_stop or self._stop

    def _read(self, decoder: Decoder, answers: int, seed: int) -> dict[str, Matrix]:
        """Projections of a model's answers to the probes by trait, (probes, answers)."""
        prompts = [prompt for prompt in self._probes for _ in range(answers)]
        said = decoder.generate(prompts, max_new_tokens=self._longest, seed=seed)
        states = decoder.response_states(prompts, said)
        return {
            name: projection(states, found).reshape(len(self._probes), answers)
            for name, found in self._vectors.items()
        }


def _check(*, every: int, answers: int, pool: int, checks: int, probes: int, rate: float) -> None:
    problems = [
        f"{name} is {value}; expected 1 or more"
        for name, value in (("every", every), ("answers", answers), ("checks", checks), ("probes", probes))
        if value < 1
    ]
    if pool <= answers:
        problems.append(f"pool is {pool} answers; expected more than the {answers} of one check")
    if not 0 < rate < 1:
        problems.append(f"false_alarms is {rate}; expected a probability between 0 and 1")
    if problems:
        raise ConfigError(problems)
