"""The platform on top of the machines: one typed component per file, objects rendered by pure functions
beside it."""
