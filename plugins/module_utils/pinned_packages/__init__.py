"""Packages at exactly one version: where they come from, how they are pinned, what may change with them.

``source`` describes a package source and knows keys by their fingerprint, ``plan`` compares wish and host and
judges what apt would do; both are pure. ``host`` is the rim that runs dpkg and apt. Standard library only,
Python 3.9.
"""
