"""The first tables: facts about the store, users, pairs, profiles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "profile_store_facts",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "profile_store_users",
        sa.Column("user_key", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "profile_store_pairs",
        sa.Column("user_key", sa.String(64), sa.ForeignKey("profile_store_users.user_key"), primary_key=True),
        sa.Column("pair_key", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("user_key", "number", name="profile_store_pairs_in_order"),
    )
    op.create_table(
        "profile_store_profiles",
        sa.Column("user_key", sa.String(64), sa.ForeignKey("profile_store_users.user_key"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("made_from", sa.LargeBinary, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("write_id", sa.String(32), nullable=False),
    )


def downgrade() -> None:
    """Drop the tables and everything in them."""
    for table in ("profiles", "pairs", "users", "facts"):
        op.drop_table(f"profile_store_{table}")
