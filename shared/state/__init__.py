"""State in Redis: every transition that must be atomic is one script behind one typed method."""
