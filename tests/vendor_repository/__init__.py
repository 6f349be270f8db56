"""A stand-in for NVIDIA's package repository: its names, versions and dependencies, empty inside."""
