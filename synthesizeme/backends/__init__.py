"""Language models: open one by name, ask it through a session."""

from synthesizeme.backends._base import Model, ModelSettings, open_model
from synthesizeme.backends._budget import Budget, Caps
from synthesizeme.backends._cache import CallCache
from synthesizeme.backends._calls import Answer, Question, Token
from synthesizeme.backends._session import Account, Progress, RetryPolicy, Session
from synthesizeme.files import default_cache_dir

__all__ = [
    "Account",
    "Answer",
    "Budget",
    "CallCache",
    "Caps",
    "Model",
    "ModelSettings",
    "Progress",
    "Question",
    "RetryPolicy",
    "Session",
    "Token",
    "default_cache_dir",
    "open_model",
]
