"""Which users the other processes of a server have changed."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

_OWNER, _DIGEST = 8, 16
_RECORD = _OWNER + _DIGEST


class Changes:
    """A file that every process appends to when it has changed a user, and reads before it answers.

    It holds no id, only digests under a key that is written nowhere. An append of a few bytes is whole or not
    there, so no lock is needed; that nothing is new costs one look at the size of the file.

    Args:
        path: The file; made if it does not exist. All that it holds is news to a process that opens it.
        key: The same in all processes.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._key, self._own = key, secrets.token_bytes(_OWNER)
        self._read = 0

    def digest(self, user_id: str) -> bytes:
        """What stands for a user."""
        return hashlib.blake2b(
            user_id.encode("utf-8", "surrogatepass"), key=self._key, digest_size=_DIGEST
        ).digest()

    def tell(self, user_id: str) -> None:
        """Let the others know that a user was changed; call it when the change can be seen."""
        os.write(self._file, self._own + self.digest(user_id))

    def any(self) -> bool:
        """Whether there may be news."""
        return self._size() > self._read

    def news(self) -> set[bytes]:
        """Digests of the users that others have changed since the last call."""
        data = os.pread(self._file, self._size() - self._read, self._read)
        whole = len(data) - len(data) % _RECORD
        self._read += whole
        records = (data[start : start + _RECORD] for start in range(0, whole, _RECORD))
        return {record[_OWNER:] for record in records if record[:_OWNER] != self._own}

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _size(self) -> int:
        return os.fstat(self._file).st_size
