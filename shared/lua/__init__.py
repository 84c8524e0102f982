"""Redis scripts: one `.lua` file each, called by one typed method in `shared/state` or `shared/messaging`."""
