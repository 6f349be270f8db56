"""Models on a host, whole and right or not there at all: a pure planner, and what carries its plan out.

A model is a folder below the store, pinned by the SHA-256 of its manifest, which pins every file. It is put
together in
``STORE/.bedplate/staging`` on the same filesystem, verified, made durable, and renamed to its place in one
step.
"""
