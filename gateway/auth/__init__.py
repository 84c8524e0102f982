"""Authentication and rate limits: credentials, tokens, principals. Sees headers and addresses, never a request."""
