"""What a server of a pair is told, and how it reaches the other one."""

from __future__ import annotations

import re

from .config import Config

ASKED = 4  # seconds for a connection to the other site


def peer_words(config: Config, database: str) -> str:
    """How the other site's server is reached: the words of libpq."""
    words = config.database
    found = f"host={words.peer_address} port={words.peer_port or words.port} user={words.user}"
    found += f" passfile={words.password_file} sslmode={words.sslmode} connect_timeout={ASKED}"
    found += f" sslrootcert={words.ca}" if words.ca else ""
    found += f" application_name={config.site}"
    return found + (f" dbname={database}" if database else "")


def slot(site: str) -> str:
    """Name of a site's replication slot: letters, digits and underscores."""
    return "site_" + re.sub(r"[^a-z0-9_]", "_", site.lower())


def render(config: Config, synchronous: bool) -> str:
    """Pure: the settings of a server of a pair, whichever of the two it is now."""
    names = f'FIRST 1 ("{config.peer}")' if synchronous else ""
    lines = {
        "wal_level": "replica",
        "wal_log_hints": "on",  # so that pg_rewind can take back what only an old primary has
        "hot_standby": "on",
        "max_wal_senders": "8",
        "max_replication_slots": "8",
        "max_slot_wal_keep_size": f"{config.database.keep_mib}MB",
        "wal_keep_size": "512MB",
        "wal_sender_timeout": "10s",
        "wal_receiver_timeout": "10s",
        "synchronous_commit": "on",
        "synchronous_standby_names": names,
        "primary_conninfo": peer_words(config, ""),
        "primary_slot_name": slot(config.site),
        "recovery_target_timeline": "latest",
    }
    head = "# Written by bedplate_site.py, which changes it when sites change their parts.\n"
    return head + "".join(f"{name} = '{value}'\n" for name, value in lines.items())
