"""Sections of the configuration file: each key is stated here, once, as an annotated field."""
