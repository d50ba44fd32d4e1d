"""How the latest induction of each user ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "profile_store_inductions",
        sa.Column("user_key", sa.String(64), sa.ForeignKey("profile_store_users.user_key"), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("pairs", sa.Integer, nullable=False),
        sa.Column("settings", sa.String(64), nullable=False),
        sa.Column("drifted", sa.Boolean, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("profile_store_inductions")
