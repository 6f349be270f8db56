"""Runs module sshd_config, whose changes may shut the controller out."""

from bedplate.confirmed_action import ConfirmedAction


class ActionModule(ConfirmedAction):
    """What Ansible loads."""
