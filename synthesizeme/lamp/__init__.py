"""The LaMP benchmark: judges, reward models, votes and language models answer, with controls."""

from synthesizeme.lamp.answers import Choice, choose, lamp_prompt, rank_profiles, read_ranking, write_ranking
from synthesizeme.lamp.metrics import LampReport, LampRow
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
