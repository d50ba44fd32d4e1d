"""Every objective computed by hand, and against somebody else's implementation of it."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import hinge_loss, log_loss

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[1] / "reward_models"))
import tiny_backbones  # noqa: E402

from reward_models._trainer import (  # noqa: E402
    bradley_terry,
    gaussian_kl,
    gaussian_nll,
    hinge,
    minimise,
    negative_elbo,
    swap_asymmetry,
)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def close(found, *values):
    assert found.shape == (len(values),)
    assert found.tolist() == pytest.approx(list(values), rel=1e-6, abs=1e-9)


@pytest.fixture
def differences():
    """Features of chosen minus rejected, shape (80, 3); a third of the pairs are noise."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(80, 3))
    signs = np.sign(rows @ [1.0, -2.0, 0.5])
    return rows * np.where(rng.random(80) < 0.3, 1, signs)[:, None]


def test_bradley_terry_by_hand():
    # sigma(ln 3) = 3/4, sigma(0) = 1/2, sigma(-ln 3) = 1/4
    close(bradley_terry(tensor(math.log(3), 0, -math.log(3))), math.log(4 / 3), math.log(2), math.log(4))
    close(bradley_terry(tensor(math.log(6)), offset=math.log(2)), math.log(4 / 3))
    close(bradley_terry(tensor(-1e4, 1e4)), 1e4, 0)


def test_bradley_terry_is_logistic_regression_on_differences(differences):
    """scikit-learn, shown every pair both ways round, has the same optimum and the same loss there."""
    both = np.concatenate([differences, -differences])
    labels = np.repeat([1, 0], len(differences))
    oracle = LogisticRegression(fit_intercept=False, C=1e6, tol=1e-10, max_iter=1000).fit(both, labels)
    rows = torch.from_numpy(differences)
    start = torch.zeros(3, dtype=torch.float64)
    found = minimise(lambda w: bradley_terry(rows @ w).mean(), start)
    assert found.numpy() == pytest.approx(oracle.coef_[0], rel=1e-3)
    at_oracle = bradley_terry(rows @ torch.from_numpy(oracle.coef_[0])).mean().item()
    assert at_oracle == pytest.approx(log_loss(labels, oracle.predict_proba(both)), rel=1e-9)


def test_bradley_terry_is_the_loss_of_trl(tmp_path):
    """TRL's RewardTrainer on a random backbone: its loss is ours on that backbone's logits, margin included."""
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from trl import RewardConfig, RewardTrainer

    from reward_models._transformers import quiet

    folder = str(tiny_backbones.make(tmp_path / "backbone", ["the ship sails over calm water"] * 3))
    rows = {"chosen_ids": [[5, 6, 7], [8, 9]], "rejected_ids": [[7, 5], [6, 6, 9, 8]], "margin": [0.5, 0.5]}
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1)
        settings = RewardConfig(
            output_dir=str(tmp_path / "out"),
            report_to=[],
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
        )
        data = Dataset.from_dict(rows)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        trainer = RewardTrainer(model=model, args=settings, train_dataset=data, processing_class=tokenizer)
        model.eval()
        batch = trainer.data_collator([data[0], data[1]])
        theirs = trainer.compute_loss(model, dict(batch)).item()
        with torch.no_grad():

            def read(ids):
                return model(input_ids=torch.tensor([ids])).logits[0, 0]

            margins = torch.stack([
                read(c) - read(r) for c, r in zip(rows["chosen_ids"], rows["rejected_ids"], strict=True)
            ])  # fmt: skip
    assert theirs == pytest.approx(bradley_terry(margins, offset=0.5).mean().item(), rel=1e-5)
    assert theirs != pytest.approx(bradley_terry(margins).mean().item(), rel=1e-3)


def test_hinge_by_hand_and_as_scikit_learn_and_torch_have_it():
    margins = tensor(2, 1, 0.25, -3)
    close(hinge(margins), 0, 0, 0.75, 4)
    close(hinge(margins, width=0.5), 0, 0, 0.25, 3.5)
    both = np.concatenate([margins, -margins])  # scikit-learn needs two classes
    assert hinge(margins).mean().item() == pytest.approx(hinge_loss([1] * 4 + [0] * 4, both))
    theirs = torch.nn.MarginRankingLoss(margin=1.0)(margins, torch.zeros(4), torch.ones(4))
    assert hinge(margins).mean().item() == pytest.approx(theirs.item())


def test_kl_by_hand_and_as_torch_has_it():
    # one latent: (mean^2 + variance - ln variance - 1) / 2
    close(
        gaussian_kl(tensor([1.0], [0.0]), tensor([0.0], [math.log(4)])),
        0.5,
        (4 - math.log(4) - 1) / 2,
    )
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = (torch.randn(5, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    normal = torch.distributions.Normal
    theirs = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0)).sum(
        -1
    )
    assert torch.allclose(gaussian_kl(mean, log_variance), theirs)
    assert torch.equal(gaussian_kl(torch.zeros(2, 3), torch.zeros(2, 3)), torch.zeros(2))


def test_negative_elbo_by_hand():
    found = negative_elbo(tensor(math.log(3), 0), tensor([1.0], [0.0]), tensor([0.0], [0.0]), beta=0.2)
    close(found, math.log(4 / 3) + 0.2 * 0.5, math.log(2))


def test_swap_asymmetry_by_hand():
    mirror = swap_asymmetry(*(tensor(row) for row in ([1.0, -2], [0.3, 0.1], [-1.0, 2], [0.3, 0.1])))
    close(mirror, 0)
    # means (1 + 1)^2 = 4 and 0, log-variances (0 - 2)^2 = 4 and 0, over 2 latents
    close(swap_asymmetry(*(tensor(row) for row in ([1.0, 0], [0.0, 0], [1.0, 0], [2.0, 0]))), 4)


def test_gaussian_likelihood_by_hand_and_as_scipy_has_it():
    # N(0, 1) at 0: ln(2 pi) / 2. N(1, 2^2) at 5: 2 + ln 2 + ln(2 pi) / 2
    half = math.log(2 * math.pi) / 2
    close(gaussian_nll(tensor(0, 5), tensor(0, 1), tensor(0, math.log(2))), half, 2 + math.log(2) + half)
    rng = np.random.default_rng(0)
    at, mean, log_std = rng.normal(size=(3, 20))
    found = gaussian_nll(*(torch.from_numpy(values) for values in (at, mean, log_std)))
    assert found.numpy() == pytest.approx(-norm.logpdf(at, mean, np.exp(log_std)))
