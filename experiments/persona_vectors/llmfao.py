"""Screening of real people's preference pairs along two traits, with a small decoder trained on their texts.

python experiments/persona_vectors/llmfao.py --data-dir FOLDER      some minutes on one core

No language model that could be read is at hand without a network, so one is trained here on the answers
themselves. It answers poorly; what is tested is whether the projection of a pair says which response shows a
trait, on prompts that nothing was trained on, and beside random directions.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

import numpy as np  # noqa: E402
import tokenizers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from model import device  # noqa: E402
from run import mean  # noqa: E402

from reward_models.persona_vectors import Decoder, PatternScorer, PersonaVectors, difference_of_means  # noqa: E402
from reward_models.persona_vectors.monitoring import screen_pairs  # noqa: E402
from synthesizeme.datasets import load_dataset  # noqa: E402

TRAITS = {"exclaiming": r"!", "first person": r"\b(?:I|I'm|my|me)\b"}
"""Shares of sentences in which a pattern is found."""


def tokenizer_of(texts, size):
    raw = tokenizers.Tokenizer(tokenizers.models.BPE())
    raw.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = tokenizers.decoders.ByteLevel()
    raw.train_from_iterator(texts, tokenizers.trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<end>"], show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()))  # fmt: skip
    return transformers.PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>", bos_token="<end>")


def trained(pairs, sizes, seed):
    """A decoder trained on both responses of the pairs, each behind its prompt."""
    texts = [text for pair in pairs for text in (pair.chosen_text, pair.rejected_text)]
    words = tokenizer_of(texts, sizes["vocabulary"])
    torch.manual_seed(seed)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=len(words), hidden_size=sizes["hidden"], intermediate_size=3 * sizes["hidden"],
        num_hidden_layers=sizes["layers"], num_attention_heads=4, max_position_embeddings=sizes["length"],
        bos_token_id=0, eos_token_id=0, pad_token_id=None,
    )).to(device())  # fmt: skip
    model.generation_config = transformers.GenerationConfig(eos_token_id=0, pad_token_id=0)
    decoder = Decoder(model, words, batch_size=64)
    rows = list({(*decoder.reading(pair.prompt, text).ids, words.eos_token_id)[: sizes["length"]]
                 for pair in pairs for text in (pair.chosen_text, pair.rejected_text)})  # fmt: skip
    rng, model = np.random.default_rng(seed), model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=sizes["learning_rate"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, sizes["learning_rate"], sizes["steps"])
    for _ in range(sizes["steps"]):
        some = [torch.tensor(rows[i]) for i in rng.integers(len(rows), size=sizes["batch"])]
        ids = torch.nn.utils.rnn.pad_sequence(some, batch_first=True, padding_value=-100).to(model.device)
        loss = model(input_ids=ids.clamp_min(0), labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()
    return decoder, {"weights": model.num_parameters(), "loss": loss.item()}


def as_read(decoder, prompts, texts):
    """What the decoder's window leaves of each response: scores are of that and not of what it never sees."""
    readings = [decoder.reading(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]
    return [decoder.tokenizer.decode(one.ids[one.begin :], skip_special_tokens=True) for one in readings]


def vectors_of(decoder, pairs, layer):
    """Vectors from the answers: those with a pattern in a third of their sentences, less those without."""
    asked = [pair.prompt for pair in pairs for _ in range(2)]
    texts = [text for pair in pairs for text in (pair.chosen_text, pair.rejected_text)]
    states, found = decoder.response_states(asked, texts), {}
    for name, pattern in TRAITS.items():
        shown = np.array(PatternScorer(pattern)([""] * len(texts), as_read(decoder, asked, texts)))
        found[name] = PersonaVectors(
            name,
            difference_of_means(states[shown >= 100 / 3], states[shown == 0]),
            decoder.identity.document(),
            layer,
        )
    return found


def study(decoder, vectors, pairs, settings, seed):
    """Correlation of each pair's push along a vector with its true push, and of random directions."""
    pushes, by_id = {}, {pair.pair_id: pair for pair in pairs}
    speak = decoder.speaker(max_new_tokens=settings["answer"], seed=seed)
    for name, one in vectors.items():
        rows = {row.pair_id: row.projection for row in screen_pairs(decoder, one, pairs, speak)}
        pushes[name] = np.array([rows[pair_id] for pair_id in by_id])
    texts = [[pair.chosen_text for pair in pairs], [pair.rejected_text for pair in pairs]]
    seen = [as_read(decoder, [pair.prompt for pair in pairs], side) for side in texts]
    true = {
        name: np.subtract(*(PatternScorer(pattern)([""] * len(side), side) for side in seen))
        for name, pattern in TRAITS.items()
    }
    up, down = (decoder.response_states([pair.prompt for pair in pairs], side) for side in texts)
    layer = next(iter(vectors.values())).layer
    drawn = np.random.default_rng(seed).normal(size=(settings["random"], decoder.width))
    found = {}
    for name, push in pushes.items():
        [other] = [rival for rival in vectors if rival != name]
        sizes = np.abs([np.corrcoef(row, true[name])[0, 1] for row in drawn @ (up - down)[:, layer - 1].T])
        own = float(np.corrcoef(push, true[name])[0, 1])
        found[name] = {
            "own": own,
            "on the other trait": float(np.corrcoef(push, true[other])[0, 1]),
            "random, mean size": float(sizes.mean()),
            "random, 95th percentile": float(np.quantile(sizes, 0.95)),
            "random ones as good": float(np.mean(sizes >= own)),
            "mean push": mean(push),
        }
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with llmfao.jsonl.gz")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "llmfao.json")
    parser.add_argument("--seeds", type=int, help="only the first N seeds")
    arguments = parser.parse_args()
    settings = tomllib.loads((HERE / "config.toml").read_text())["llmfao"]
    transformers.utils.logging.set_verbosity_error()
    if device() == "cpu":
        torch.set_num_threads(1)
    began, pairs, seeds = time.monotonic(), load_dataset("llmfao", data_dir=arguments.data_dir), []
    questions = sorted({pair.prompt[-1].content for pair in pairs})
    for seed in settings["seeds"][: arguments.seeds]:
        order = np.random.default_rng(seed).permutation(questions)
        held_out = set(order[: len(order) // 3])
        known = [pair for pair in pairs if pair.prompt[-1].content not in held_out]
        fresh = [pair for pair in pairs if pair.prompt[-1].content in held_out][: settings["pairs"]]
        decoder, base = trained(known, settings, seed)
        vectors = vectors_of(decoder, known, round(0.55 * decoder.layers))
        seeds.append(
            {
                "seed": seed,
                "base": base,
                "pairs": len(fresh),
                "traits": study(decoder, vectors, fresh, settings, seed),
            }
        )
        print(f"seed {seed}: {time.monotonic() - began:.0f} s", flush=True)
    found = {
        name: {
            key: mean([seed["traits"][name][key] for seed in seeds])
            for key in seeds[0]["traits"][name]
            if key != "mean push"
        }
        for name in TRAITS
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        json.dumps({"config": settings, "summary": found, "seeds": seeds}, indent=1) + "\n"
    )
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
