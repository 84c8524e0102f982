"""File storage: blobs, writers, folders and the layout below `storage.root`."""
