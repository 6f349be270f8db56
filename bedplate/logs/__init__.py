"""Logs: what is collected, what is taken out of it on the way, and how long it is kept.

``pipeline`` turns an inventory into collectors, ``loki`` and ``opensearch`` into the configurations of the
stores. What a collector does with a line is planned by plugins/module_utils/log_pipeline.py, which role
log_collector uses as well.
"""
