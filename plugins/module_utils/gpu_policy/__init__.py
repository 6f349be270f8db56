"""How the GPUs of a host are set: persistence, power, clocks, compute mode, ECC, MIG.

``observe`` reads nvidia-smi into plain data (``model.Gpu``), ``wish`` turns what the inventory says into one
``model.Policy`` per GPU, ``plan`` compares the two without touching anything, ``converge`` carries a plan out
and reads every setting back. ``python3 -m gpu_policy FILE`` is the same without Ansible, for the host's
start-up. Standard library only, Python 3.9.
"""
