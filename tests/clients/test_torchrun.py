"""TRL's GRPOTrainer under torchrun, two processes that share the function by its name."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

SCRIPT = """
    import json, pickle, sys
    import torch, transformers
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer
    from synthesizeme.serving.trl import reward_function

    policy, checkpoint, out = sys.argv[1:]
    rows = [{"prompt": f"What of ship {i}?", "user_id": f"u{i % 2}"} for i in range(8)]
    reward = pickle.loads(pickle.dumps(reward_function(checkpoint)))
    arguments = GRPOConfig(
        output_dir=out, num_generations=2, max_completion_length=8, max_steps=2, use_cpu=True, bf16=False, report_to=[],
        logging_steps=1, save_strategy="no", disable_tqdm=True, learning_rate=1e-2, seed=0, per_device_train_batch_size=2,
    )
    model = transformers.AutoModelForCausalLM.from_pretrained(policy)
    trainer = GRPOTrainer(model, reward_funcs=reward, args=arguments, train_dataset=Dataset.from_list(rows),
                          processing_class=transformers.AutoTokenizer.from_pretrained(policy))
    trainer.train()
    rank = torch.distributed.get_rank()
    means = [row["rewards/personal_reward/mean"] for row in trainer.state.log_history if "rewards/personal_reward/mean" in row]
    weights = sum(float(weight.double().sum()) for weight in model.state_dict().values())
    with open(f"{out}/rank{rank}.json", "w") as file:
        json.dump({"size": torch.distributed.get_world_size(), "means": means, "weights": weights, "ok": reward.counts["ok"]}, file)
    torch.distributed.destroy_process_group()
"""


def test_two_processes_train_one_policy(policy, checkpoint, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script),
         str(policy), str(checkpoint), str(tmp_path)],
        capture_output=True, text=True, timeout=1500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first["size"] == 2
    assert len(first["means"]) == 2
    assert first["weights"] == second["weights"], "one policy"
    assert (first["ok"], second["ok"]) == (4, 4), "each scores its own rows"
