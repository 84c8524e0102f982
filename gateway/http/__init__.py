"""HTTP edge: routes, credentials, errors, uploads, downloads, health."""
