"""Where pairs come from: a path, a hub data set, or a data set named by its module."""

from __future__ import annotations

import os
from pathlib import Path


def located(source: str, data_dir: Path | None) -> str | Path:
    """A data set named by its module is looked for; anything else is a path or a hub name."""
    from synthesizeme import datasets

    if not os.path.exists(source) and source in datasets.formats():
        return datasets.find_data(source, data_dir=data_dir)
    return source
