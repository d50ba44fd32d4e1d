"""Keep the first layers of the packaged MiniLM: a backbone that a processor fine-tunes in minutes.

python experiments/llmfao/small_backbone.py FOLDER [LAYERS]
"""

from __future__ import annotations

import sys

from transformers import AutoModel, AutoTokenizer

from reward_models._pretrained import MINILM, locate


def main(folder, layers="2"):
    source = locate(MINILM)
    AutoModel.from_pretrained(source, num_hidden_layers=int(layers)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source).save_pretrained(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
