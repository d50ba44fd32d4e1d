"""Users that are simulated, and the questions that tell most about a user.

- `synthesizeme.simulation.respondents`: role-played and planted users, who answer comparisons.
- `synthesizeme.simulation.interview`: which comparison to show next, by expected information.
"""
