"""Reading replies of free form: no model is asked here, and nothing is guessed."""
