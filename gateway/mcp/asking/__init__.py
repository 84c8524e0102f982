"""Questions of servers in the middle of a call, put to clients of either era."""
