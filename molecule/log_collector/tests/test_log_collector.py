"""A host that is told no store: nothing is installed that would have nothing to do."""


def test_nothing_runs_and_nothing_is_there(host):
    assert host.run("systemctl cat log-collector.service").rc != 0
    assert not host.file("/usr/local/bin/otel-collector").exists
    assert not host.file("/etc/bedplate/log_collector").exists
