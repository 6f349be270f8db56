"""The inventory check: everything that can be known to be wrong before a host is touched.

Types come from JSON Schemas (``schema/*.yml``) and from the roles' own ``meta/argument_specs.yml``; what
fits with what comes from the rows of ``inventories/_common/compatibility.yml``; the rest are rules, plain
functions of the variables that their parameters name (``rules.py``). Each finding carries file and line
of the value that Ansible would use.
"""
