"""Command line: `longshore up`, `gateway`, `worker`, `check`, `doctor`, `sessions` and `top`."""
