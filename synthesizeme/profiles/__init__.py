"""Where profiles are: a folder that people read, or a store of very many users, their pairs and words.

All of them are read as a mapping from user id to profile, which is what judges take.

- `synthesizeme.profiles.opening`: `open_profiles`, the mapping of a folder, a file or a store, and
  `open_store`, which turns a path or URL into a store.
- `synthesizeme.profiles.folder`: a folder for each user, with the documents that people read.
- `synthesizeme.profiles.store`: the interface of a store, `ProfileStore`, and the values it speaks in.
- `synthesizeme.profiles.views`: a store as the mapping that judges take, all its users, what it takes in.

Importing this package loads no database library; the extra `store` brings them.
"""

from __future__ import annotations

from synthesizeme.profiles.opening import migrate_store, open_profiles, open_store
from synthesizeme.profiles.store import ProfileStore
from synthesizeme.profiles.views import StoredProfiles

__all__ = ["ProfileStore", "StoredProfiles", "migrate_store", "open_profiles", "open_store"]
