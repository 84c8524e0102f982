"""The edge: routes, credentials, errors, uploads, downloads, health."""
