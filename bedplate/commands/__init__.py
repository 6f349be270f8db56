"""One file per command; each has `register(app)`, which adds it to the command line."""
