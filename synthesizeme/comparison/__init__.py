"""Reward models, judges and references on the same pairs: entrants by name, resumable units, one table."""
