"""The LaMP benchmark: judges, reward models, votes and language models answer, with controls."""

from synthesizeme.lamp.choosing import Choice, choose
from synthesizeme.lamp.prompts import lamp_prompt
from synthesizeme.lamp.rankings import rank_profiles, read_ranking, write_ranking
from synthesizeme.lamp.report import LampReport, LampRow
from synthesizeme.lamp.run import LampRun

__all__ = [
    "Choice",
    "LampReport",
    "LampRow",
    "LampRun",
    "choose",
    "lamp_prompt",
    "rank_profiles",
    "read_ranking",
    "write_ranking",
]
