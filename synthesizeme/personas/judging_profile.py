"""A profile that can be asked and saved, and where it is loaded from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthesizeme.backends import Model, Session, using
from synthesizeme.datasets.rows import asked_comparison, asked_user
from synthesizeme.judges.llm_judge import OneComparison, judge_both_orders
from synthesizeme.personas.owner import save
from synthesizeme.profile import UserProfile
from synthesizeme.profiles import open_profiles
from synthesizeme.profiles.opening import named_user
from synthesizeme.progress import ShowProgress, watched
from synthesizeme.prompts import load_prompt


class JudgingProfile(UserProfile):
    """A `UserProfile` that can be asked and saved; it holds nothing else, and equals the profile without."""

    def judge(
        self,
        prompt: Any,
        first: Any,
        second: Any,
        *,
        model: str | Model | Session = "builtin",
        judge_prompt: str = "judge/default",
        progress: ShowProgress = None,
    ) -> OneComparison:
        """Which of two responses the user prefers, asked in both orders.

        Args:
            prompt: What the user asked: text, or messages of which the last is the user's.
            first: A response: text, or one message.
            second: Another one.
            model: Name of the model that is asked (`open_model`), an opened model, or a session.
            judge_prompt: Name or path of the judge prompt.
            progress: True shows a wait beyond two seconds; a function is told of every call.

        Raises:
            DataError: the prompt or a response is missing, blank or not made of text.
            JudgeError: the model gave no verdict.
            BackendError: it cannot be reached.
        """
        asked = asked_comparison(self.user_id, prompt, first, second)
        with watched(progress, self.user_id) as told, using(model) as session:
            template = load_prompt(judge_prompt)
            return judge_both_orders(session.ledger(told), self, asked, prompt=template)

    def save(self, folder: str | Path, *, judge_prompt: str = "judge/default") -> dict[str, Path]:
        """Write what `induce-persona` writes of a user, into the user's own folder under `folder`.

        What the person did to the profile that is there stays (`synthesizeme.personas.owner`).

        Args:
            folder: Folder of all users; made if it does not exist.
            judge_prompt: Name or path of the judge prompt.

        Returns:
            Path of each file, by file name.

        Raises:
            DataError: the place cannot be written, or holds something else; see `refuse_replacing`.
        """
        return save(Path(folder), self, judge_prompt)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UserProfile):
            return NotImplemented
        return self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]


def load_profile(
    place: str | Path, user: str | None = None, *, key_file: str | Path | None = None
) -> JudgingProfile:
    """Read a profile, which can then be asked (`JudgingProfile.judge`).

    Args:
        place: Where it is: a folder of users, the folder of one, a ``profile.json`` or a store; see
            `synthesizeme.profiles.open_profiles`.
        user: Whose profile; may be left out where there is one.
        key_file: Key of an encrypted store.

    Raises:
        DataError: nothing can be read there, what is there is no profile, or there is none.
        ConfigError: the user has no profile there, or there are several and none is named.
    """
    asked = None if user is None else asked_user(user)
    with open_profiles(place, key_file=key_file) as profiles:
        return JudgingProfile(**dict(profiles[named_user(profiles, asked, place)]))
