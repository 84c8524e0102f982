"""File storage below `storage.root`: file operations, writers, folders, layout and media types."""
