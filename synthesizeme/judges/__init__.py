"""Judges: a comparison and a profile in, a verdict out."""

from synthesizeme.judges._reading import verdict_or_failure
from synthesizeme.judges.baselines import demographics_profile, memory_profile
from synthesizeme.judges.demonstration_utility import Usefulness, demonstration_utilities
from synthesizeme.judges.llm_judge import LLMJudge
from synthesizeme.judges.order import combine
from synthesizeme.judges.retrieval_judge import RetrievalJudge

__all__ = [
    "LLMJudge",
    "RetrievalJudge",
    "Usefulness",
    "combine",
    "demographics_profile",
    "demonstration_utilities",
    "memory_profile",
    "verdict_or_failure",
]
