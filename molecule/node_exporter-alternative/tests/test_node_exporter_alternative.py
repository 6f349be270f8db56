"""A host whose exporter listens at one address only, with other collectors and another folder."""

URL = "http://127.0.0.1:9199/metrics"
READ = f"""python3 -c 'import urllib.request as web; print(web.urlopen(\"{URL}\").read().decode())'"""


def test_it_listens_at_its_address_only(host):
    listening = [s for s in host.socket.get_listening_sockets() if s.endswith(":9199")]
    assert listening == ["tcp://127.0.0.1:9199"]
    assert not host.socket("tcp://0.0.0.0:9100").is_listening


def test_collectors_and_folder_are_those_that_were_asked_for(host):
    host.check_output("echo 'bedplate_tried 8' >/srv/metrics/tried.prom")
    text = host.check_output(READ)
    assert "bedplate_tried 8" in text
    assert 'node_scrape_collector_success{collector="processes"}' in text
    assert 'collector="systemd"' not in text
