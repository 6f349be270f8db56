"""Containers with systemd inside, for role tests that need no kernel of their own."""
