"""What decides at the API gateway. Modules that run beside it in its pods use the standard library only."""
