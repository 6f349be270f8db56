"""What is backed up of an environment: what its inventory names, and what the platform keeps itself."""

from collections.abc import Iterator

from ai_platform import consumers, milvus_config, names
from ai_platform.milvus_parts import MILVUS
from ai_platform.namespaces import namespaces
from ai_platform.settings import BackupItem, Settings

# Models come from a mirror with their checksums and lie on every GPU host. Milvus' bucket restores nothing
# without its metadata and its log: collections are read through Milvus itself.
NOT_COPIED = ("models", "milvus")


def items(settings: Settings) -> tuple[BackupItem, ...]:
    """Everything that is backed up; nothing where nothing is."""
    return (*settings.backups.items, *own(settings)) if settings.backups else ()


def own(settings: Settings) -> Iterator[BackupItem]:
    """Our databases, all of them in one item, all of Milvus, and the bucket of each consumer that is here."""
    backup = consumers.consumer("backup")
    if settings.data:
        yield BackupItem(
            "postgresql",
            "postgresql",
            address=consumers.endpoint(consumers.DATABASE, settings),
            access=consumers.secret_name(consumers.DATABASE, backup),
            peer=(names.DATA, consumers.DATABASE),
        )
    if settings.milvus:
        yield BackupItem(
            "milvus",
            "milvus",
            address=milvus_config.address(settings).removeprefix("http://"),
            secret=milvus_config.PASSWORDS[milvus_config.BACKUP],
            peer=(names.MILVUS, MILVUS),
        )
    if settings.object_store is None:
        return
    written = set()
    for one in consumers.present({space.name for space in namespaces(settings)}):
        written |= {grant.bucket for grant in one.grants if "Write" in grant.actions}
    readable = {grant.bucket for grant in backup.grants} - set(NOT_COPIED)
    peer = (names.DATA, consumers.STORE) if settings.object_store.own else ("", "")
    for bucket in sorted(written & readable):
        yield BackupItem(f"bucket-{bucket}", "bucket", bucket=bucket, peer=peer)
