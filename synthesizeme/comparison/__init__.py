"""Reward models, judges and references on the same pairs: systems by name, resumable tasks, one table."""
