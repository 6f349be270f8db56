"""``bedplate bundle``: what a site installs, built where there is a network, served where there is none."""

import ipaddress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bedplate import console
from bedplate.bundle import distributions, server, signing, tree
from bedplate.bundle.build import KINDS, Built, Order
from bedplate.bundle.build import build as build_bundle
from bedplate.errors import BAD_INPUT, VERDICT_NO, BedplateError

app = typer.Typer(no_args_is_help=True, help="The offline bundle: build it, verify it, serve it.")
Bundle = Annotated[
    Path, typer.Argument(help="the bundle's folder", exists=True, file_okay=False, resolve_path=True)
]
Key = Annotated[
    Path, typer.Option("--key", help="the builder's public key, got by another way than the bundle")
]
Folder = Annotated[Path | None, typer.Option(exists=True, file_okay=False)]
Json = Annotated[bool, typer.Option("--json", help="one JSON document on standard output")]
SHOWN = 50  # files named on a terminal; --json names all


def register(parent: typer.Typer) -> None:
    """Add the command group."""
    parent.add_typer(app, name="bundle")


@app.command()
def build(  # noqa: PLR0917 - options of a command, given by name
    out: Annotated[
        Path, typer.Argument(help="folder of the bundle: new, empty, or a bundle to bring up to date")
    ],
    inventory: Annotated[Path, typer.Option("-i", "--inventory", help="inventories/ENV")],
    only: Annotated[str, typer.Option(help=f"kinds, with commas: {', '.join(KINDS)}")] = ",".join(KINDS),
    distribution: Annotated[
        str, typer.Option(help="of the hosts, as Debian-12; default: this machine's")
    ] = "",
    architecture: Annotated[str, typer.Option(help="of the hosts: amd64 or arm64")] = "amd64",
    apt_sources: Annotated[
        Path | None, typer.Option(help="package sources (deb822); default: this machine's")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="folder of OCI archives to take instead of upstream's")
    ] = None,
    release: Annotated[Path | None, typer.Option(help="folder of release archives to take")] = None,
    models: Annotated[Path | None, typer.Option(help="folder of models, as OWNER/NAME/REVISION")] = None,
    key: Annotated[
        Path | None, typer.Option(help="private signing key; default: the environment's own")
    ] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="ask upstream again what tags mean")] = False,
    json: Json = False,
) -> None:
    """Collect what an inventory's hosts, cluster and controller install. Again: brings it up to date."""
    kinds = tuple(kind.strip() for kind in only.split(",") if kind.strip())
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise BedplateError(f"--only {only}: choose of {', '.join(KINDS)}", code=BAD_INPUT)
    order = Order(
        inventory=inventory,
        out=out.resolve(),
        distribution=distributions.parse(distribution, architecture),
        kinds=kinds,
        apt_sources=apt_sources,
        images=images,
        release=release,
        models=models,
        key=key,
        refresh=refresh,
    )
    built = build_bundle(order)
    if json:
        console.print_json(_said(built))
    else:
        _report(built, order)


def _said(built: Built) -> dict[str, object]:
    return {
        "files": len(built.manifest.files),
        "bytes": built.manifest.bytes,
        "images": [asdict(image) for image in built.manifest.images],
        "fetched": built.fetched,
        "changed": built.changed,
        "unpinned": built.unpinned,
        "seconds": round(built.seconds, 1),
    }


def _report(built: Built, order: Order) -> None:
    manifest = built.manifest
    fetched = sum(built.fetched.values())
    console.out.print(
        f"{len(manifest.files)} files, {manifest.bytes:,} bytes, {len(manifest.images)} images; "
        f"{fetched} fetched, {'changed' if built.changed else 'nothing changed'}; {built.seconds:.0f} s",
        highlight=False,
    )
    public = signing.private_key(order.signing_key).public_key()
    console.out.print(f"signed by {signing.fingerprint(public)}", highlight=False)
    for word, digest in built.unpinned.items():
        console.out.print(f"the inventory should say {word}: {digest}", highlight=False, soft_wrap=True)


@app.command()
def verify(
    bundle: Bundle,
    key: Key,
    jobs: Annotated[int, typer.Option(help="files at a time", min=1)] = tree.JOBS,
    json: Json = False,
) -> None:
    """Check the signature and every byte; names what was changed, is missing, or should not be there."""
    manifest = tree.opened(bundle, key)
    with console.progress(f"verify {bundle}", total=manifest.bytes) as step:
        found = tree.verify(bundle, manifest, jobs=jobs, on_file=lambda _, size: step.advance(size))
    if json:
        counted = {"files": len(manifest.files), "bytes": manifest.bytes, "time": manifest.time}
        console.print_json({"whole": not found, **counted, **asdict(found)})
    else:
        for word, names in asdict(found).items():
            for name in names[:SHOWN]:
                console.out.print(f"{word}: {name}", highlight=False, markup=False, soft_wrap=True)
            if len(names) > SHOWN:
                console.out.print(f"… and {len(names) - SHOWN} more are {word}", highlight=False)
        if not found:
            text = f"whole: {len(manifest.files)} files, {manifest.bytes:,} bytes, of {manifest.time}"
            console.out.print(text, highlight=False)
    if found:
        raise typer.Exit(VERDICT_NO)


@app.command()
def serve(  # noqa: PLR0917 - options of a command, given by name
    bundle: Bundle,
    key: Key,
    address: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="port to listen on", min=1, max=65535)] = 8080,
    certificate: Annotated[
        Path | None, typer.Option(help="serve over TLS with this certificate (PEM)")
    ] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="its private key")] = None,
    show: Annotated[bool, typer.Option("--print", help="only print nginx's configuration")] = False,
) -> None:
    """Serve packages, images and files to the hosts, until Ctrl-C. A bundle that is not whole is refused."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise BedplateError(f"--address {address} is no address", code=BAD_INPUT) from None
    if bool(certificate) != bool(certificate_key):
        raise BedplateError("--certificate and --certificate-key go together", code=BAD_INPUT)
    manifest = server.checked(bundle, key)
    files = [path.resolve() if path else None for path in (certificate, certificate_key)]
    serving = server.Serving(bundle, address, port, *files)
    if show:
        console.out.file.write(
            server.configuration(manifest, serving, Path("/run/bedplate-mirror"), server.USER)
        )
        return
    scheme = "https" if certificate else "http"
    console.err.print(f"site_mirror: {scheme}://{address}:{port}  (Ctrl-C ends it)", highlight=False)
    server.serve(manifest, serving)
