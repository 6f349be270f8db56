"""Disks of a host as storage tiers: observe, plan, apply.

``observe`` reads the host into plain data (``model.Host``), ``plan`` turns wish and observation into actions
or refusals without touching anything, ``apply`` carries actions out one by one. Standard library only,
Python 3.9.
"""
