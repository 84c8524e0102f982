"""Command line: `longshore up`, `gateway`, `worker`, `check`, `doctor`, `sessions`, `top`."""
