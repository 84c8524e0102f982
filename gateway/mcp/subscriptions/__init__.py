"""Change notifications: one upstream stream for all subscribers of a scope."""
