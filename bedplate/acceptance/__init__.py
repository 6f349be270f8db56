"""GPU acceptance: what a host's GPUs are and do, held against the inventory and what others reach.

``observed`` reads the host's document into records, ``smi`` makes such a document of recorded nvidia-smi
output, ``wanted`` says what is expected, ``health`` and ``figures`` judge, ``verdict`` puts it together; all
of these are pure. ``accept`` runs the playbook and writes results and evidence, ``show`` prints.
"""
