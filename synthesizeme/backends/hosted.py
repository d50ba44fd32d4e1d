"""Language models of the known providers, through `dspy.LM`. A missing key is reported before any call.

No price list is downloaded: DSPy's bundled one is used, unless ``$LITELLM_LOCAL_MODEL_COST_MAP`` says
otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from synthesizeme.backends._base import ModelSettings
from synthesizeme.errors import CredentialError

if TYPE_CHECKING:
    import dspy

KIND = "hosted language model"
ASYNCHRONOUS = True
SAMPLES = True
WAYS = ("json", "mend")
TAKES = ("extra_body",)

KEY_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "ai21": ("AI21_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "azure": ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY", "AZURE_AD_TOKEN"),
    "bedrock": (),
    "cerebras": ("CEREBRAS_API_KEY",),
    "cohere": ("COHERE_API_KEY", "CO_API_KEY"),
    "cohere_chat": ("COHERE_API_KEY", "CO_API_KEY"),
    "dashscope": ("DASHSCOPE_API_KEY",),
    "deepinfra": ("DEEPINFRA_API_KEY",),
    "deepseek": ("DEEPSEEK_API_KEY",),
    "fireworks_ai": (
        "FIREWORKS_AI_API_KEY", "FIREWORKS_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN",
    ),
    "gemini": ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "groq": ("GROQ_API_KEY",),
    "huggingface": ("HF_TOKEN", "HUGGINGFACE_API_KEY"),
    "mistral": ("MISTRAL_API_KEY",),
    "moonshot": ("MOONSHOT_API_KEY", "MOONSHOTAI_API_KEY"),
    "nvidia_nim": ("NVIDIA_NIM_API_KEY",),
    "openai": ("OPENAI_API_KEY",),
    "openrouter": ("OPENROUTER_API_KEY", "OR_API_KEY"),
    "perplexity": ("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"),
    "replicate": ("REPLICATE_API_KEY", "REPLICATE_API_TOKEN"),
    "sagemaker": (),
    "sambanova": ("SAMBANOVA_API_KEY",),
    "together_ai": ("TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_TOKEN"),
    "vertex_ai": (),
    "xai": ("XAI_API_KEY",),
}  # fmt: skip
"""Provider -> variables of which one must be set; none where a cloud's own chain of credentials is used."""

PREFIXES = tuple(f"{provider}/" for provider in KEY_VARIABLES)


def open_lm(name: str, settings: ModelSettings) -> dspy.LM:
    """The provider's model `name`, e.g. ``openai/gpt-4o``. Nothing is sent yet.

    Raises:
        CredentialError: no key is given and none of the provider's variables is set.
    """
    import dspy

    variables = KEY_VARIABLES[name.partition("/")[0]]
    held = next((value for variable in variables if (value := os.environ.get(variable))), "")
    if variables and not settings.api_key and not held.strip():
        raise CredentialError(
            f"{name} needs a key. Cure: set {' or '.join(variables)}, or give api_key (--api-key-env)"
        )
    clean = None if held == held.strip() else held.strip()  # DSPy reads the variable as it stands
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    given = settings.api_key or clean
    key = {"api_key": given} if given else {}
    return dspy.LM(name, cache=False, num_retries=0, timeout=settings.timeout_s, **key)
