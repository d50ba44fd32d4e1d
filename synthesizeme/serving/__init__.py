"""Rewards for those who train policies: one scalar path, adapters of RLHF loops, and a server.

- `synthesizeme.serving.rewards`: the path that everything here goes through.
- `synthesizeme.serving.trl`, `.openrlhf`, `.verl`: what the loops call.
- `synthesizeme.serving.app`: the server's application; `synthesizeme serve` runs it.
"""
