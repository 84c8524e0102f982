"""Sections of the configuration file. Each key is one annotated field: value type, default, class, description."""
