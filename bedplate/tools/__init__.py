"""Programs that no package registry carries ready-made: built from pinned Go modules, cached by content.

``spec`` reads tools/tools.yml, ``golang`` finds or installs the compiler, ``build`` builds one program,
``locate`` says which copy of a program is used.
"""
