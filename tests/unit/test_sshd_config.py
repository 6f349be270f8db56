"""Module sshd_config's pure part; what sshd and the host make of it is tried in molecule/base-alternative."""

import pytest
from sshd_config import includes, relocated

OURS = "/etc/ssh/sshd_config.d/00-bedplate.conf"
DEBIAN = """\
# This is the sshd server system-wide configuration file.

Include /etc/ssh/sshd_config.d/*.conf

#Port 22
KbdInteractiveAuthentication no
Subsystem sftp /usr/lib/openssh/sftp-server
"""


def test_only_includes_of_the_folder_are_moved_and_the_rest_stays():
    text = DEBIAN + "AuthorizedKeysFile /etc/ssh/keys/%u\ninclude sub/*.conf /srv/x.conf\n"
    moved = relocated(text, "/etc/ssh", "/tmp/try")
    changed = [new for old, new in zip(text.splitlines(), moved.splitlines(), strict=True) if old != new]
    assert changed == ["Include /tmp/try/sshd_config.d/*.conf", "include /tmp/try/sub/*.conf /srv/x.conf"]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (DEBIAN, True),
        (DEBIAN.replace("Include", "include"), True),
        ("Include sshd_config.d/*.conf\n", True),
        ('Include="/etc/ssh/sshd_config.d/*"\n', True),
        ("Include /etc/ssh/other.conf\nInclude /etc/ssh/sshd_config.d/00-*.conf\n", True),
        (DEBIAN.replace("Include", "#Include"), False),
        ("Include /etc/ssh/*\n", False),
        ("Include /etc/ssh/sshd_config.d/10-*.conf\n", False),
        ("PasswordAuthentication yes\n" + DEBIAN, False),
        ("Match User ada\nInclude /etc/ssh/sshd_config.d/*.conf\n", False),
        ("", False),
    ],
)
def test_a_dropin_counts_only_where_it_is_read_first(text, read):
    assert includes(text, OURS, "/etc/ssh") is read
