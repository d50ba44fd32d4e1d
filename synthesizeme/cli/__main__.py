"""``python -m synthesizeme.cli``: the `synthesizeme` command."""

from __future__ import annotations

import sys

from synthesizeme.cli import main

sys.exit(main())
