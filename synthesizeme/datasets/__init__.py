"""Preference pairs from files and hubs. Each public module is one data set or format, named by its file."""

from __future__ import annotations

from synthesizeme.datasets._base import (
    DatasetModule,
    data_places,
    find_data,
    formats,
    load_dataset,
    load_words,
)
from synthesizeme.datasets._convert import ConvertReport, convert
from synthesizeme.datasets._inspect import PairsSummary, inspect
from synthesizeme.datasets._intake import Intake, LeftOut
from synthesizeme.datasets._splits import assign_splits, by_user, extend_splits, resplit
from synthesizeme.datasets._words import CutText, WordsFile, read_words
from synthesizeme.datasets.jsonl import PairsFile, read_pairs, stream_pairs, write_pairs

__all__ = [
    "ConvertReport",
    "CutText",
    "DatasetModule",
    "Intake",
    "LeftOut",
    "PairsFile",
    "PairsSummary",
    "WordsFile",
    "assign_splits",
    "by_user",
    "convert",
    "data_places",
    "extend_splits",
    "find_data",
    "formats",
    "inspect",
    "load_dataset",
    "load_words",
    "read_pairs",
    "read_words",
    "resplit",
    "stream_pairs",
    "write_pairs",
]
