"""Opening a causal language model with its tokenizer."""

from __future__ import annotations

from typing import Any

from reward_models._pretrained import locate
from reward_models._transformers import quiet
from synthesizeme.errors import DataError


def open_causal(name: str, dtype: Any) -> tuple[Any, Any]:
    """Model and tokenizer by folder or hub name, on the CPU.

    Args:
        name: A folder, or a name on the hub.
        dtype: Of the weights; ``auto`` for that of the files.

    Raises:
        DataError: there is no such model, it is no causal language model, or the hub is out of reach.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    place = locate(name)
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(place)
            model = AutoModelForCausalLM.from_pretrained(place, dtype=dtype)
        except (OSError, ValueError, KeyError) as error:
            reason = (str(error) or type(error).__name__).strip().splitlines()[0]
            raise DataError(
                f"no causal language model can be read here ({reason})",
                source=place,
                cure="name a folder written by save_pretrained, or another hub name.",
            ) from error
    return model, tokenizer
