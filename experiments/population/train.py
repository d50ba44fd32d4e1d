"""Make the population that the package ships.

OMP_NUM_THREADS=1 python experiments/population/train.py --data-dir FOLDER [--out FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from recipe import SOURCES, population, read

from reward_models import POPULATION


def main():
    """Read the data, follow the recipe, write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data-dir",
        type=Path,
        required=True,
        help=f"where {', '.join(f'{name}.jsonl.gz' for name in SOURCES)} are",
    )
    parser.add_argument("--out", type=Path, default=POPULATION, help="by default in the package's source")
    given = parser.parse_args()
    model = population(read(given.data_dir))
    model.save(given.out)
    print(model.fit_report())


if __name__ == "__main__":
    main()
