"""What is done to a running induction or server, one module a fault; each gives rows of one table."""
