"""Search of the storage volume for files without a record: to remove them, or to restore the record."""
