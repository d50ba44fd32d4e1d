"""What users said beside their choices."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "profile_store_words",
        sa.Column("user_key", sa.String(64), sa.ForeignKey("profile_store_users.user_key"), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("profile_store_words")
