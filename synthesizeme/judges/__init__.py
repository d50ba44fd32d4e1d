"""Judges: a comparison and a profile in, a verdict out."""

from synthesizeme.judges.llm_judge import LLMJudge, both_orders, combine
from synthesizeme.judges.messages import demographics_profile, memory_profile, verdict_or_failure
from synthesizeme.judges.retrieval_judge import RetrievalJudge, Usefulness, demonstration_utilities

__all__ = [
    "LLMJudge",
    "RetrievalJudge",
    "Usefulness",
    "both_orders",
    "combine",
    "demographics_profile",
    "demonstration_utilities",
    "memory_profile",
    "verdict_or_failure",
]
