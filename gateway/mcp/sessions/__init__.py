"""Sessions of clients and their upstream sessions: leases, renewal, log level, end."""
