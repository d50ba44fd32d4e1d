"""Batched generation with transformers: chat format, per-row sampling, token probabilities."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from synthesizeme.backends._reply import response

if TYPE_CHECKING:
    import torch
    from dspy.lm15 import LM15Error, Request, Response, TokenLogprob

_PLAIN_FORMAT = "".join(
    (
        "{% for message in messages %}{{ message.role.capitalize() }}: {{ message.content }}\n\n{% endfor %}",
        "{% if add_generation_prompt %}Assistant:{% endif %}",
    )
)
"""For tokenizers without a chat template: each turn marked with its role."""


@dataclass(frozen=True)
class _Step:
    """What was drawn at one position of a batch of B rows."""

    tokens: torch.Tensor
    """(B,) token ids."""
    logprobs: torch.Tensor
    """(B,) natural log-probabilities of `tokens` at temperature 1."""
    top_tokens: torch.Tensor
    """(B, K) likeliest token ids."""
    top_logprobs: torch.Tensor
    """(B, K) their natural log-probabilities."""


class LocalModel:
    """A causal language model with its tokenizer.

    Args:
        model: A transformers model with `generate`.
        tokenizer: Its tokenizer; pads on the left from here on.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer
        tokenizer.padding_side = "left"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
        own = model.generation_config
        self._own_temperature = float(own.temperature or 1.0) if own.do_sample else 0.0
        ends = own.eos_token_id if own.eos_token_id is not None else tokenizer.eos_token_id
        self._ends = ends if isinstance(ends, list) else [] if ends is None else [ends]
        room = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self.room = room if isinstance(room, int) and room > 0 else None
        """Tokens of its context; None where no limit is known."""

    @classmethod
    def load(cls, place: str, *, device: str, offline: bool = False) -> LocalModel:
        """Load from a folder or by hub name; ``auto`` is the first CUDA device, else the CPU.

        `offline` keeps to what was fetched from the hub before.
        """
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=offline)
        model = AutoModelForCausalLM.from_pretrained(place, dtype="auto", local_files_only=offline).to(device)
        return cls(model, tokenizer)

    def answer(self, requests: Sequence[Request]) -> list[Response | Exception]:
        """One response, or the reason why there is none, for each of B requests."""
        found: dict[int, Response | Exception] = {}
        prompts: dict[int, str] = {}
        for row, request in enumerate(requests):
            try:
                prompts[row] = self._prompt(request)
            except (TemplateError, ValueError) as error:
                found[row] = _unfit(error)
        lengths = {row: len(self._ids(prompt)) for row, prompt in prompts.items()}
        for row, length in lengths.items():
            if not self._fits(length, requests[row]):
                found[row] = self._too_long(length, requests[row])
        rows = [row for row in prompts if row not in found and not _choices(requests[row])]
        steps = (
            self._generate([requests[row] for row in rows], [prompts[row] for row in rows]) if rows else []
        )
        for place, row in enumerate(rows):
            found[row] = self._response(requests[row], steps, place, lengths[row])
        for row in prompts:
            if row not in found:
                found[row] = self._chosen(requests[row], prompts[row])
        return [found[row] for row in range(len(requests))]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _prompt(self, request: Request) -> str:
        turns = [{"role": message.role, "content": message.text or ""} for message in request.messages]
        if request.system:
            turns.insert(0, {"role": "system", "content": str(request.system)})
        own = None if self._tokenizer.chat_template else _PLAIN_FORMAT
        begun = turns[-1]["role"] == "assistant"
        text: str = self._tokenizer.apply_chat_template(
            turns,
            chat_template=own,
            tokenize=False,
            add_generation_prompt=not begun,
            continue_final_message=begun,
        )
        return text

    def _chosen(self, request: Request, prompt: str) -> Response:
        """Which of the words given goes on from the prompt: the likeliest, with the share of each.

        The share of a word is exp(sum of the log-probabilities of its tokens), divided by that of all words.
        """
        import torch
        from dspy import lm15

        words = _choices(request)
        before = self._ids(prompt)
        # A word is read as it is written after the prompt: with the space that stands between them.
        paths = [self._ids(f"{prompt} {word}")[len(before) :] for word in words]
        rows = [before + path for path in paths]
        width = max(map(len, rows))
        padded = [row + [self._tokenizer.pad_token_id or 0] * (width - len(row)) for row in rows]
        ids = torch.tensor(padded, device=self._model.device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows]).to(ids.device)
        with torch.inference_mode():
            keep = width - len(before) + 1
            logits = self._model(input_ids=ids, attention_mask=mask, logits_to_keep=keep).logits
        logprobs = torch.log_softmax(logits.float(), dim=-1)
        scores = torch.stack(
            [
                sum((logprobs[row, place, token] for place, token in enumerate(path)), torch.tensor(0.0))
                for row, path in enumerate(paths)
            ]
        )
        shares = torch.log_softmax(scores, dim=0).tolist()
        best = max(range(len(words)), key=shares.__getitem__)
        told = lm15.TokenLogprob(
            token=f" {words[best]}",
            logprob=shares[best],
            top=tuple(
                lm15.TopLogprob(token=f" {word}", logprob=share)
                for word, share in zip(words, shares, strict=True)
            ),
        )
        return response(request, f" {words[best]}", (len(before), len(paths[best])), logprobs=(told,))

    def _fits(self, length: int, request: Request) -> bool:
        return self.room is None or length + _most_tokens(request) <= self.room

    def _too_long(self, length: int, request: Request) -> LM15Error:
        from dspy import lm15

        error: LM15Error = lm15.ContextLengthError(
            f"the prompt has {length} tokens and the reply may have {_most_tokens(request)}; "
            f"the model's context has {self.room}"
        )
        return error

    def _generate(self, requests: Sequence[Request], prompts: Sequence[str]) -> list[_Step]:
        import torch
        from transformers import LogitsProcessorList

        inputs = self._tokenizer(
            list(prompts), add_special_tokens=False, padding=True, return_tensors="pt"
        ).to(self._model.device)
        temperatures = [
            self._own_temperature if request.config.temperature is None else request.config.temperature
            for request in requests
        ]
        seeds = [
            _seed(prompt, request.config.seed) for prompt, request in zip(prompts, requests, strict=True)
        ]
        keep = max((request.config.logprobs or 0) for request in requests)
        sampler = _RowSampler(temperatures, seeds, keep)
        with torch.inference_mode():
            self._model.generate(
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                max_new_tokens=max(_most_tokens(request) for request in requests),
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                eos_token_id=self._ends or None,
                pad_token_id=self._tokenizer.pad_token_id,
                logits_processor=LogitsProcessorList([sampler]),
            )
        return sampler.steps

    def _response(self, request: Request, steps: Sequence[_Step], row: int, length: int) -> Response:
        drawn = [int(step.tokens[row]) for step in steps[: _most_tokens(request)]]
        end = next((place for place, token in enumerate(drawn) if token in self._ends), None)
        spoken = drawn if end is None else drawn[:end]
        text = self._tokenizer.decode(spoken, skip_special_tokens=True)
        wanted = request.config.logprobs
        told = None
        if wanted is not None:
            told = tuple(self._token(step, row, wanted) for step in steps[: len(spoken)])
        written = len(drawn) if end is None else end + 1
        return response(
            request, text, (length, written), ends="length" if end is None else "stop", logprobs=told
        )

    def _token(self, step: _Step, row: int, wanted: int) -> TokenLogprob:
        from dspy import lm15

        return lm15.TokenLogprob(
            token=self._tokenizer.decode([int(step.tokens[row])]),
            logprob=float(step.logprobs[row]),
            top=tuple(
                lm15.TopLogprob(token=self._tokenizer.decode([int(token)]), logprob=float(logprob))
                for token, logprob in zip(
                    step.top_tokens[row][:wanted], step.top_logprobs[row][:wanted], strict=True
                )
            ),
        )


class _RowSampler:
    """A logits processor that leaves each row with one possible token: the one it draws.

    Greedy at temperature 0, else a draw from softmax(logits / temperature) by the Gumbel-max trick:
    ``argmax(logits / temperature + gumbel)``, with noise from the row's own generator.

    References:
        Maddison, Tarlow and Minka, "A* Sampling", NeurIPS 2014, section 2.
    """

    def __init__(self, temperatures: Sequence[float], seeds: Sequence[int], keep: int) -> None:
        import torch

        self._temperatures = temperatures
        self._streams = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._keep = keep
        self.steps: list[_Step] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores` (B, V) in; the same shape out, minus infinity but for the drawn token."""
        import torch

        logprobs = torch.log_softmax(scores.float(), dim=-1)
        keys = logprobs.clone()
        for row, temperature in enumerate(self._temperatures):
            if temperature > 0:
                uniform = torch.rand(scores.shape[-1], generator=self._streams[row], dtype=torch.float64)
                noise = -torch.log(-torch.log(uniform.clamp_min(1e-300)))
                keys[row] = keys[row] / temperature + noise.to(keys)
        tokens = keys.argmax(dim=-1)
        best = logprobs.topk(min(self._keep, logprobs.shape[-1]), dim=-1)
        chosen = logprobs.gather(1, tokens[:, None])[:, 0]
        self.steps.append(_Step(tokens.cpu(), chosen.cpu(), best.indices.cpu(), best.values.cpu()))
        return torch.full_like(scores, -torch.inf).scatter_(1, tokens[:, None], 0.0)


def _choices(request: Request) -> Sequence[str]:
    """The words of which one is to follow; none where the model may go on as it likes."""
    return tuple(str(word) for word in (request.config.extensions or {}).get("choices", ()))


def _unfit(error: Exception) -> LM15Error:
    """What a chat template says of a conversation that it does not take."""
    from dspy import lm15

    unfit: LM15Error = lm15.InvalidRequestError(f"the chat template refuses the conversation: {error}")
    return unfit


def _most_tokens(request: Request) -> int:
    return request.config.max_tokens or 1


def _seed(prompt: str, sample: int | None) -> int:
    """63 bits from prompt and sample index."""
    return int.from_bytes(hashlib.sha256(f"{sample or 0}\0{prompt}".encode()).digest()[:8], "big") >> 1
