"""From the inventory to what is backed up; nothing is rendered where nothing is."""

from ai_platform.settings import BackupItem, Backups
from bedplate.inventory import Vars
from bedplate.units import parse_bytes

DEFAULT_VOLUME = "100GiB"
DEFAULT_SCHEDULE = "0 2 * * *"  # the hour of role backup
DEFAULT_DRILL = "0 4 * * 0"
SUPERUSER = "postgres"  # roles and their passwords are read by nobody else
LOGIN = "postgres-backup-password"
KEPT = BackupItem("secrets", "secrets")  # those of the stack: they cannot be made anew


def read(entry: Vars | None) -> Backups | None:
    """``platform_backups``; None where it is left out."""
    if entry is None:
        return None
    return Backups(
        server=entry["server"],
        tier=entry["tier"],
        volume=parse_bytes(entry.get("volume", DEFAULT_VOLUME)),
        schedule=entry.get("schedule", DEFAULT_SCHEDULE),
        drill=entry.get("drill", DEFAULT_DRILL),
        authority=entry.get("authority", ""),
        limit_kib=entry.get("limit_kib", 0),
        items=(KEPT, *(_item(item) for item in entry.get("items", ()))),
    )


def _item(entry: Vars) -> BackupItem:
    if entry["kind"] == "bucket":
        return BackupItem(entry["name"], "bucket", bucket=entry.get("bucket", ""))
    address, user = entry.get("address", ""), entry.get("user", SUPERUSER)
    return BackupItem(entry["name"], "postgresql", address=address, user=user, secret=LOGIN)
