"""A host of an environment without another site: nothing of it is there."""


def test_nothing_is_installed_without_another_site(host):
    assert not host.package("rclone").is_installed
    assert not host.file("/etc/bedplate/site").exists
    assert host.run("systemctl list-unit-files 'bedplate-site*' --no-legend").stdout == ""
