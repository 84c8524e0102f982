"""Messages between processes over Redis: pub/sub, mailboxes, message streams."""
