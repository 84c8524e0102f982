"""Redis connection: one multiplexed, pipelining connection a process, subscriptions, scripts."""
