"""New inventories: from a page of answers to the files of the smallest inventory that passes the check.

Serial numbers and MAC addresses that nobody has read yet are marked as planned (serials begin with
``PLANNED``, MAC addresses are locally administered): the twin and the rehearsal work with them, the roles on
real hosts refuse them, and ``bedplate discover --write`` puts the real ones in their place.
"""
