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
from synthesizeme.datasets._columns import parse_columns
from synthesizeme.datasets._convert import ConvertReport, convert
from synthesizeme.datasets._inspect import PairsSummary, inspect
from synthesizeme.datasets._intake import Intake, LeftOut
from synthesizeme.datasets._reading import PairsFile, Source, open_source, read_pairs
from synthesizeme.datasets._splits import (
    assign_splits,
    by_user,
    extend_splits,
    hold_out,
    hold_out_responses,
    resplit,
)
from synthesizeme.datasets._words import CutText, WordsFile, read_words
from synthesizeme.datasets.jsonl import write_pairs

__all__ = [
    "ConvertReport",
    "CutText",
    "DatasetModule",
    "Intake",
    "LeftOut",
    "PairsFile",
    "PairsSummary",
    "Source",
    "WordsFile",
    "assign_splits",
    "by_user",
    "convert",
    "data_places",
    "extend_splits",
    "find_data",
    "formats",
    "hold_out",
    "hold_out_responses",
    "inspect",
    "load_dataset",
    "load_words",
    "open_source",
    "parse_columns",
    "read_pairs",
    "read_words",
    "resplit",
    "write_pairs",
]
