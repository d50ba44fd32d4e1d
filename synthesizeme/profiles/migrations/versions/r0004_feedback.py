"""What users said of responses beside pairs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "profile_store_feedback",
        sa.Column("user_key", sa.String(64), sa.ForeignKey("profile_store_users.user_key"), primary_key=True),
        sa.Column("feedback_key", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("user_key", "number", name="profile_store_feedback_in_order"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("profile_store_feedback")
