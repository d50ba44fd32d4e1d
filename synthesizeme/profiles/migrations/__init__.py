"""Alembic's migrations of the profile store; `synthesizeme.profiles.opening` runs them."""
