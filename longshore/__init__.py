"""The longshore gateway, its worker and its command line."""
