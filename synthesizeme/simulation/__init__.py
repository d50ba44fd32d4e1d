"""Users that are simulated, and the questions that tell most about a user.

- `synthesizeme.simulation.respondents`: role-played and planted users, who answer comparisons.
- `synthesizeme.simulation.interview`: which question to ask next, by expected information, and the answers.
- `synthesizeme.simulation.information`: how much an answer is expected to tell about a user's taste.
"""
