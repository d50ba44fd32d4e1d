"""Rewards for those who train policies: one scalar path, adapters of RLHF loops, and a server.

- `synthesizeme.serving.protocol`: the path that everything here goes through.
- `synthesizeme.serving.trl`, `.openrlhf`, `.verl`: what the loops call.
- `synthesizeme.serving.http`: the server's application; `synthesizeme serve` runs it.
"""
