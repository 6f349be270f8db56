"""NVIDIA software of a host: which kernel module its GPUs want, which packages bring it, what must match.

``flavour`` reads PCI devices, ``driver``, ``cuda`` and ``fabric`` choose packages and versions,
``fabric_state`` judges what nvidia-smi says; all of that is pure. ``host`` looks at the machine. Standard
library only, Python 3.9.
"""
