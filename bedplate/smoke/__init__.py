"""Whether a running platform works, asked as its clients would ask: ``targets`` says what an inventory's
platform has, ``probes`` ask one component each, ``reach`` finds addresses and credentials in the cluster,
``run`` puts them together.
"""
