"""Two sites, of which one takes writes: what is copied between them, and how the other one takes over."""
