"""Personalized reward models: the tensor half of the project. Import what you use from its modules."""
