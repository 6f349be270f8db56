"""Runs module vlan_network, whose changes may cut the controller off."""

from bedplate.confirmed_action import ConfirmedAction


class ActionModule(ConfirmedAction):
    """What Ansible loads."""
