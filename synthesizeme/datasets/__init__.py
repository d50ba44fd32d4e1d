"""Preference pairs from files and hubs. Each public module is one data set or format, named by its file."""

from __future__ import annotations

from synthesizeme.datasets._base import Format, data_places, find_data, formats, locate
from synthesizeme.datasets._convert import ConvertReport, convert
from synthesizeme.datasets._reading import (
    PairsFile,
    Source,
    load_dataset,
    load_feedback,
    load_words,
    open_source,
    pairs_of,
    read_feedback,
    read_pairs,
)
from synthesizeme.datasets._words import CutText, WordsFile, read_words, words_of
from synthesizeme.datasets.jsonl import write_pairs
from synthesizeme.datasets.rows.columns import parse_columns
from synthesizeme.datasets.rows.feedback import parse_scale
from synthesizeme.datasets.rows.sources import LeftOut, ReadOptions, ReadReport
from synthesizeme.pairs import (
    FeedbackSummary,
    PairsSummary,
    assign_splits,
    by_user,
    extend_splits,
    hold_out,
    hold_out_responses,
    inspect,
    inspect_feedback,
    resplit,
)

__all__ = [
    "ConvertReport",
    "CutText",
    "FeedbackSummary",
    "Format",
    "LeftOut",
    "PairsFile",
    "PairsSummary",
    "ReadOptions",
    "ReadReport",
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
    "inspect_feedback",
    "load_dataset",
    "load_feedback",
    "load_words",
    "locate",
    "open_source",
    "pairs_of",
    "parse_columns",
    "parse_scale",
    "read_feedback",
    "read_pairs",
    "read_words",
    "resplit",
    "words_of",
    "write_pairs",
]
