"""Packages of the roles with all that they need, laid out as the distribution's own mirrors are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bedplate.bundle import openpgp, repository, vendors
from bedplate.bundle.apt import Apt, Package
from bedplate.bundle.distributions import Distribution
from bedplate.bundle.manifest import PARTIAL
from bedplate.bundle.roles import Wanted
from bedplate.bundle.tree import sha256
from bedplate.bundle.writing import write
from bedplate.errors import BedplateError

Say = Callable[[str], None]
KEY = repository.KEY
FOLDERS = ("debian", "debian-security", "ubuntu", "nvidia")  # of archives, below the mirror
AT_ONCE = 20  # files that apt fetches in one go


@dataclass(frozen=True)
class Request:
    """What is wanted: ``sources`` in deb822 form, ``vendors`` as catalogue_package_sources.

    ``key`` is the file of the OpenPGP key; in ``state`` package lists are kept from one build to the next.
    """

    distribution: Distribution
    sources: str
    wanted: Sequence[Wanted]
    vendors: vendors.Rows
    key: Path
    state: Path


def collect(bundle: Path, request: Request, say: Say) -> tuple[set[str], int]:
    """Bring the closure of what is wanted into ``bundle`` and index it: the paths that belong to it, and how
    many packages were fetched.

    Each role's packages are resolved on their own, because roles may exclude each
    other. Raises BedplateError.
    """
    distribution = request.distribution
    own = Apt(request.state / "own", request.sources, distribution.architecture)
    say(f"package lists of {distribution}")
    own.update()
    more = vendors.Vendors(request.state, distribution, request.sources, request.vendors)
    found: dict[str, Package] = {}
    for want in request.wanted:
        say(f"what role {want.role} needs")
        for package in _closure(own, more, want):
            found[_place(package, distribution, more)] = package
    fetched = _fetch(bundle, own, found, say)
    kept = set(found) | more.index(bundle)
    return kept | _index(bundle, request, kept, say), fetched


def _index(bundle: Path, request: Request, kept: set[str], say: Say) -> set[str]:
    """Write the distribution's package lists; their paths and the key's."""
    lists = {repository.KEY}
    with openpgp.home(request.key) as gpg_home:
        write(bundle / repository.KEY, openpgp.public(gpg_home))
        for archive in request.distribution.archives:
            folder = bundle / archive["path"]
            _prune(folder / "pool", bundle, kept)
            say(f"lists of {archive['path']}")
            repository.index(folder, archive, request.distribution, gpg_home)
            made = (folder / "dists").rglob("*")
            lists |= {path.relative_to(bundle).as_posix() for path in made if path.is_file()}
    return lists


def _closure(own: Apt, more: vendors.Vendors, want: Wanted) -> list[Package]:
    """From the distribution alone where it has everything, else with the vendor that the role names."""
    try:
        return own.closure(want.role, want.names)
    except BedplateError:
        with_vendor = more.apt(want.role)
        if with_vendor is None:
            raise
        return with_vendor.closure(want.role, want.names)


def _place(package: Package, distribution: Distribution, more: vendors.Vendors) -> str:
    """Where in the bundle a package lies: in the archive that its address names."""
    if place := more.place(package):
        return place
    known = list(repository.places(distribution.archives))
    archive = next((path for path in known if f"/{path}/pool/" in package.uri), known[-1])
    return f"{archive}/{package.pool}"


def _fetch(bundle: Path, apt: Apt, found: dict[str, Package], say: Say) -> int:
    """Download what is not there yet, through a folder of unfinished files; how many that were."""
    missing = [
        (path, package) for path, package in sorted(found.items()) if not _there(bundle / path, package)
    ]
    partial = bundle / PARTIAL
    done = 0
    for start in range(0, len(missing), AT_ONCE):
        part = missing[start : start + AT_ONCE]
        say(f"{done} of {len(missing)} packages fetched")
        partial.mkdir(exist_ok=True)
        apt.fetch([(package, partial / package.sha256) for _, package in part])
        for path, package in part:
            target = bundle / path
            target.parent.mkdir(parents=True, exist_ok=True)
            (partial / package.sha256).chmod(0o644)
            (partial / package.sha256).replace(target)
        done += len(part)
    return done


def _there(path: Path, package: Package) -> bool:
    return path.is_file() and path.stat().st_size == package.size and sha256(path) == package.sha256


def _prune(pool: Path, bundle: Path, kept: set[str]) -> None:
    """Packages that no role wants any more must not be listed."""
    for path in sorted(pool.rglob("*")):
        if path.is_file() and path.relative_to(bundle).as_posix() not in kept:
            path.unlink()
