"""The smallest file that modinfo reads as a kernel module: an ELF object with nothing but .modinfo."""

import struct

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_RELOCATABLE, _X86_64, _PROGBITS, _STRTAB = 1, 62, 1, 3


def kernel_module(**words: str) -> bytes:
    """An object file whose module information is ``words``."""
    info = b"".join(f"{key}={value}\0".encode() for key, value in words.items())
    names = b"\0.modinfo\0.shstrtab\0"
    start = _HEADER.size
    table = start + len(info) + len(names)
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = _HEADER.pack(
        identity, _RELOCATABLE, _X86_64, 1, 0, 0, table, 0, _HEADER.size, 0, 0, _SECTION.size, 3, 2
    )
    sections = [
        _SECTION.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        _SECTION.pack(1, _PROGBITS, 0, 0, start, len(info), 0, 0, 1, 0),
        _SECTION.pack(10, _STRTAB, 0, 0, start + len(info), len(names), 0, 0, 1, 0),
    ]
    return header + info + names + b"".join(sections)
