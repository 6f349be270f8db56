"""The twin: the machines of an inventory as virtual machines, with the same disks, NICs and VLANs."""
