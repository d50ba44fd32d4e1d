"""The tensor half of the project, for personalized reward models; no model is in it yet."""
