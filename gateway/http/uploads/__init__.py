"""Upload routes: forms, raw bodies and tus."""
