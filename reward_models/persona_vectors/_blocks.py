"""The blocks of a decoder, whatever its family calls them, and what comes out of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch

from reward_models._pretrained import digest
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
