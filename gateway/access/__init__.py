"""Who calls and what they may use: credentials, tokens, principals. Sees headers and addresses, never a request."""
