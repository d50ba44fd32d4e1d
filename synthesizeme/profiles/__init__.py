"""Pairs, words and profiles of very many users: one interface, SQLite in a file or PostgreSQL by URL.

- `synthesizeme.profiles.store`: the interface, `ProfileStore`, and the values it speaks in.
- `synthesizeme.profiles.opening`: `open_store`, which turns a path or URL into a store.
- `synthesizeme.profiles.views`: a store as the mapping that judges take, all its users, what it takes in.

Importing this package loads no database library; the extra `store` brings them.
"""

from __future__ import annotations

from synthesizeme.profiles.opening import migrate_store, open_store
from synthesizeme.profiles.store import ProfileStore
from synthesizeme.profiles.views import StoredProfiles

__all__ = ["ProfileStore", "StoredProfiles", "migrate_store", "open_store"]
