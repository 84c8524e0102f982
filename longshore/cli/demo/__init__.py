"""`longshore up --demo`: an upstream server, its configuration, and a client that sends a file and gets one."""
