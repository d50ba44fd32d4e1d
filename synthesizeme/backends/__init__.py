"""Language models: open one by name, ask it through a session."""

from synthesizeme.backends._base import (
    SAMPLING_TEMPERATURE,
    Model,
    ModelSettings,
    find_backend,
    most_follow_ups,
    open_model,
)
from synthesizeme.backends._calls import CallCache
from synthesizeme.backends._faults import RetryPolicy
from synthesizeme.backends._ledger import Budget, Caps, Ledger
from synthesizeme.backends._opening import SessionSettings, model_budget, token_price
from synthesizeme.backends._reply import Answer, Form, Question, Structure, Token
from synthesizeme.backends._session import Session, session_with, using
from synthesizeme.files import default_cache_dir

__all__ = [
    "SAMPLING_TEMPERATURE",
    "Answer",
    "Budget",
    "CallCache",
    "Caps",
    "Form",
    "Ledger",
    "Model",
    "ModelSettings",
    "Question",
    "RetryPolicy",
    "Session",
    "SessionSettings",
    "Structure",
    "Token",
    "default_cache_dir",
    "find_backend",
    "model_budget",
    "most_follow_ups",
    "open_model",
    "session_with",
    "token_price",
    "using",
]
