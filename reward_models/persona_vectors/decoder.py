"""A causal language model that answers prompts and whose activations are read, layer by layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM

from reward_models._pretrained import digest
from reward_models._rendering import Located, Renderer
from reward_models._transformers import Pooling, by_length, open_transformer, padded, window_of
from reward_models.persona_vectors.rollouts import Generate, Prompt
from synthesizeme.errors import ConfigError

_SAMPLED = 1024


@dataclass(frozen=True)
class Identity:
    """Which model a vector belongs to."""

    family: str
    """``model_type`` of its configuration, e.g. ``llama``."""
    layers: int
    """Number of blocks."""
    width: int
    """Size of the residual stream."""
    fingerprint: str
    """Digest of the weights, the same in every floating-point format that holds them."""

    def document(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def identify(model: Any) -> Identity:
    """Which model this is."""
    config = model.config.get_text_config()
    weights = ((name, _sample(tensor)) for name, tensor in model.state_dict().items())
    shapes = [(name, tuple(tensor.shape)) for name, tensor in model.state_dict().items()]
    return Identity(
        str(config.model_type), len(blocks_of(model)), int(config.hidden_size), digest(weights, shapes)
    )


def blocks_of(model: Any) -> Sequence[Any]:
    """The decoder's blocks in order: the outermost list of modules that is as long as the model is deep.

    Raises:
        ConfigError: there is none, or more than one.
    """
    return list(_named_blocks(model)[1])


def stack_of(model: Any) -> Any:
    """The module that runs the blocks and, behind them, the final norm.

    Raises:
        ConfigError: the blocks cannot be told.
    """
    return model.get_submodule(_named_blocks(model)[0].rpartition(".")[0])


def _named_blocks(model: Any) -> tuple[str, Any]:
    depth = int(model.config.get_text_config().num_hidden_layers)
    lists = [
        (name.count("."), name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == depth
    ]
    outermost = min((level for level, _, _ in lists), default=0)
    found = [(name, module) for level, name, module in lists if level == outermost]
    if len(found) != 1:
        names = ", ".join(name for name, _ in found) or "none"
        raise ConfigError(
            f"{type(model).__name__}: expected one list of {depth} blocks, found {names}; persona vectors "
            "need a decoder of transformers"
        )
    return found[0]


def hidden_of(output: Any) -> torch.Tensor:
    """The hidden states (B, T, D) among what a module returns: a tensor, or what begins with it."""
    hidden: torch.Tensor = output if isinstance(output, torch.Tensor) else output[0]
    return hidden


def with_hidden(output: Any, hidden: torch.Tensor) -> Any:
    """What a block returned, with other hidden states."""
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden


@contextmanager
def watched(
    modules: Sequence[Any], see: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[list[torch.Tensor]]:
    """Inside, a forward pass fills the list with ``see(hidden)`` of what every module returns, as it is."""
    found: list[torch.Tensor] = []

    def look(module: Any, inputs: Any, output: Any) -> None:
        found.append(see(hidden_of(output)))

    handles = [module.register_forward_hook(look) for module in modules]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _sample(tensor: torch.Tensor) -> torch.Tensor:
    flat = tensor.detach().reshape(-1)
    return flat[:: max(1, len(flat) // _SAMPLED)].float()


States = NDArray[np.float32]
DType = Literal["auto", "float32", "bfloat16"]
DTYPES: tuple[DType, ...] = get_args(DType)


class Decoder:
    """A decoder of transformers with its tokenizer.

    Layer l, from 1 to `layers`, is what block l returns: the residual stream after it, before any final norm.
    Layer ``layers + 1`` is what the final norm makes of the last one, for reading only. Against the
    ``hidden_states`` of transformers, entry l is layer l, but the last entry is layer ``layers + 1``.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer; gets a plain chat template if it has none.
        batch_size: Rows read or answered at a time. Activations agree to rounding whatever it is.
    """

    def __init__(self, model: Any, tokenizer: Any, *, batch_size: int = 32) -> None:
        self.model, self.tokenizer, self.batch_size = model.eval(), tokenizer, batch_size
        self.blocks, self._stack = blocks_of(model), stack_of(model)
        self.width = int(model.config.get_text_config().hidden_size)
        self.window = window_of(model, tokenizer)
        self._render = Renderer(tokenizer, self.window)
        pads = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
        self._pad = next(token for token in pads if token is not None)
        parameters = inspect.signature(model.forward).parameters
        self._no_logits = {"logits_to_keep": 1} if "logits_to_keep" in parameters else {}

    @property
    def layers(self) -> int:
        """Number of blocks."""
        return len(self.blocks)

    @cached_property
    def identity(self) -> Identity:
        """Which model this is, taken once: open the model anew after its weights have changed."""
        return identify(self.model)

    def response_states(
        self, prompts: Sequence[Prompt], responses: Sequence[str], instructions: Sequence[str] | None = None
    ) -> States:
        """Mean activation over the tokens of each response, at every layer.

        What the chat template puts behind a response (the end of the turn) is not read.

        Args:
            prompts: n conversations.
            responses: n responses.
            instructions: n system messages, "" for none.

        Returns:
            Shape (n, layers + 1, D).
        """
        told = instructions or [""] * len(prompts)
        return self.states(
            [self.reading(*row) for row in zip(prompts, responses, told, strict=True)], mean=True
        )

    def prompt_states(self, prompts: Sequence[Prompt], instructions: Sequence[str] | None = None) -> States:
        """Activation at the last token of each prompt, the one before the response, at every layer.

        Returns:
            Shape (n, layers + 1, D).
        """
        told = instructions or [""] * len(prompts)
        ids = [self._render.opening(prompt, text) for prompt, text in zip(prompts, told, strict=True)]
        return self.states([Located(tokens, len(tokens), len(tokens)) for tokens in ids], mean=False)

    def reading(self, prompt: Prompt, response: str, instruction: str = "") -> Located:
        """The tokens of a response behind its prompt, as if this model had said it."""
        return self._render.spoken(prompt, response, instruction)

    def states(self, readings: Sequence[Located], *, mean: bool) -> States:
        """Activations of token sequences: the mean over the response, or the last token before it.

        Returns:
            Shape (n, layers + 1, D).
        """
        found = np.empty((len(readings), self.layers + 1, self.width), dtype=np.float32)
        for rows in by_length([len(reading.ids) for reading in readings], self.batch_size):
            some = [readings[i] for i in rows]
            ids, mask = padded([reading.ids for reading in some], self.model.device, pad=self._pad)
            pool = Pooling(some, self.model.device)
            with (
                torch.inference_mode(),
                watched([*self.blocks, self._stack], pool.mean if mean else pool.last) as seen,
            ):
                self.model(input_ids=ids, attention_mask=mask, use_cache=False, **self._no_logits)
            found[rows] = torch.stack(seen, dim=1).cpu().numpy()
        return found

    def generate(
        self,
        prompts: Sequence[Prompt],
        instructions: Sequence[str] | None = None,
        *,
        max_new_tokens: int = 128,
        temperature: float = 1.0,
        seed: int = 0,
        cut_mark: str = "",
    ) -> list[str]:
        """One answer to each prompt, drawn from the model's whole distribution (no top-k, no top-p).

        The global random state is left as it was.

        Args:
            prompts: n conversations.
            instructions: n system messages, "" for none.
            max_new_tokens: Most tokens of an answer.
            temperature: 0 takes the likeliest token each time.
            seed: Of the draws; the same call gives the same answers.
            cut_mark: Put behind an answer that did not end by itself.
        """
        told = instructions or [""] * len(prompts)
        rows = [self._render.opening(prompt, text) for prompt, text in zip(prompts, told, strict=True)]
        answers = [""] * len(rows)
        devices = [self.model.device] if self.model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            for some in by_length([len(row) for row in rows], self.batch_size):
                said = self._answers([rows[i] for i in some], max_new_tokens, temperature, cut_mark)
                for i, text in zip(some, said, strict=True):
                    answers[i] = text
        return answers

    def _answers(
        self, rows: Sequence[list[int]], longest: int, temperature: float, cut_mark: str
    ) -> list[str]:
        ids, mask = padded(rows, self.model.device, pad=self._pad, side="left")
        own = self.model.generation_config
        ends = own.eos_token_id if own.eos_token_id is not None else self.tokenizer.eos_token_id
        ends = ends if isinstance(ends, list) else [] if ends is None else [ends]
        drawn = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        greedy = {"do_sample": False, "temperature": None, "top_k": None, "top_p": None}
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode():
                tokens = self.model.generate(
                    input_ids=ids, attention_mask=mask, max_new_tokens=longest, pad_token_id=self._pad,
                    eos_token_id=ends or None, **(drawn if temperature > 0 else greedy),
                )[:, ids.shape[1] :].tolist()  # fmt: skip
        finally:
            self.model.train(was_training)
        return [self._text(row, ends, cut_mark) for row in tokens]

    def _text(self, tokens: Sequence[int], ends: Sequence[int], cut_mark: str) -> str:
        end = next((place for place, token in enumerate(tokens) if token in ends), None)
        text: str = self.tokenizer.decode(tokens[:end], skip_special_tokens=True)
        return text if end is not None else text + cut_mark

    def speaker(self, **options: Any) -> Generate:
        """`generate` with its options set, as `collect` and `steering_strengths` take it."""

        def speak(prompts: Sequence[Prompt], instructions: Sequence[str]) -> list[str]:
            return self.generate(prompts, instructions, **options)

        return speak


def open_decoder(name: str, *, device: str = "auto", dtype: DType = "auto", batch_size: int = 32) -> Decoder:
    """A causal language model by folder or hub name.

    Args:
        name: A folder, or a name on the hub.
        device: ``auto`` for the accelerator if there is one.
        dtype: Of the weights; ``auto`` is float32 on a CPU and the checkpoint's own format elsewhere. On a
            CPU bfloat16 is a few times faster; what is read then agrees to about two digits.
        batch_size: Rows read or answered at a time.

    Raises:
        DataError: there is no such model, it is no causal language model, or the hub is out of reach.
        ConfigError: its blocks cannot be told, or there is no such format.
    """
    if dtype not in DTYPES:
        raise ConfigError(f"dtype is {dtype!r}; expected one of {', '.join(DTYPES)}")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if dtype == "auto" and device == "cpu":
        dtype = "float32"
    model, tokenizer = open_transformer(AutoModelForCausalLM, name, "causal language model", dtype=dtype)
    return Decoder(model.to(device), tokenizer, batch_size=batch_size)
