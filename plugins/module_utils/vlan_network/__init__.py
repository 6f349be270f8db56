"""Bonds, VLANs, addresses, routes and MTU of one host: what the inventory says, what the host is, what to do.

``wish`` turns the inventory into devices, ``render`` turns devices into files of a back end
(systemd-networkd, netplan), ``observe`` reads what programs printed, ``plan`` compares. All of it is pure;
the module beside does the rest.
"""
