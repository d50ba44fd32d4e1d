"""Language models: open one by name, ask it through a session."""

from synthesizeme.backends._account import Account
from synthesizeme.backends._answer import Answer, Token
from synthesizeme.backends._base import (
    SAMPLING_TEMPERATURE,
    Model,
    ModelSettings,
    find_backend,
    most_follow_ups,
    open_model,
)
from synthesizeme.backends._budget import Budget, Caps
from synthesizeme.backends._cache import CallCache
from synthesizeme.backends._calls import Question
from synthesizeme.backends._form import Form, Structure
from synthesizeme.backends._retry import RetryPolicy
from synthesizeme.backends._session import Session, session_with, using
from synthesizeme.files import default_cache_dir

__all__ = [
    "SAMPLING_TEMPERATURE",
    "Account",
    "Answer",
    "Budget",
    "CallCache",
    "Caps",
    "Form",
    "Model",
    "ModelSettings",
    "Question",
    "RetryPolicy",
    "Session",
    "Structure",
    "Token",
    "default_cache_dir",
    "find_backend",
    "most_follow_ups",
    "open_model",
    "session_with",
    "using",
]
