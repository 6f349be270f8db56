"""Backups that are restored every time. restic keeps them; here stands what is backed up, how it is compared
after a restore, and what an error means. The same files run on hosts (role backup), in pods and on the
controller (bedplate.backup).

Standard library only, Python 3.9.
"""
