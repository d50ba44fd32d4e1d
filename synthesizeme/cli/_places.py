"""Places that a verb will write to, tried before the work begins."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from synthesizeme.errors import ConfigError


def check_writable(out: Path) -> None:
    """Refuse a folder that cannot be made or written before any work is done.

    Raises:
        ConfigError: it is a file, or below one, or nothing can be written there.
    """
    place = out.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise ConfigError(f"--out {out}: {place} is a file; expected a folder")
    try:
        with TemporaryDirectory(prefix=".writable.", dir=place):
            pass
    except OSError as error:
        raise ConfigError(
            f"--out {out}: {place} cannot be written ({error.strerror or error}); name another folder, or "
            "change its permissions"
        ) from None
