"""The host of the site that takes writes, while the other one is away: what starts, and what does not."""

import json

import pytest

PROGRAM = "python3 -B /usr/local/lib/bedplate/site/bedplate_site.py"
METRICS = "/var/lib/node-exporter/textfile/site.prom"


def unit(host):
    return host.check_output(
        "systemctl list-units --all --plain --no-legend 'postgresql@*-main.service' | cut -d' ' -f1"
    )


def observe(host):
    return json.loads(host.check_output(f"{PROGRAM} observe"))


def sql(host, text):
    return host.check_output(f'cd / && runuser -u postgres -- psql -p 5432 -XAtc "{text}"')


def test_it_takes_writes_and_streams_to_whoever_comes(host):
    seen = observe(host)
    assert (seen["role"], seen["running"], seen["synchronous"]) == ("primary", True, False)
    assert sql(host, "SHOW wal_log_hints") == "on"
    assert sql(host, "SHOW max_slot_wal_keep_size") == "256MB"
    assert sql(host, "SELECT rolreplication, rolsuper FROM pg_roles WHERE rolname = 'replication'") == "t|f"


def test_the_role_that_copies_has_its_password_and_comes_with_tls_only(host):
    words = "host=127.0.0.1 port=5432 user=replication dbname=postgres passfile=/etc/bedplate/site/pgpass"
    text = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    ask = f'cd / && runuser -u postgres -- psql "{words} sslmode=%s" -XAtc "{text}"'
    assert host.check_output(ask % "require") == "t"
    ours = "SELECT count(*) FROM pg_hba_file_rules WHERE 'replication' = ANY(user_name) AND type <> 'hostssl'"
    assert sql(host, ours) == "0"


def test_a_fenced_site_does_not_start_by_any_way(host):
    assert json.loads(host.check_output(f"{PROGRAM} fence"))["fenced"]
    name = unit(host)
    started = host.run(f"systemctl start {name}")
    assert started.rc != 0
    assert "this site is fenced: there serves" in host.check_output(
        f"journalctl -u {name} -o cat --no-pager -n 30"
    )
    host.check_output("rm /var/lib/bedplate/site/fenced")


def test_a_crashed_site_that_cannot_ask_does_not_write_beside_the_other(host):
    """Nobody waits for copies here, so nobody would notice two who write; until a person knows."""
    host.run("rm -f /var/lib/bedplate/site/alone")
    name = unit(host)
    host.run(f"systemctl stop {name}")
    host.run(f"systemctl reset-failed {name}")
    assert host.run(f"systemctl start {name}").rc != 0
    assert "cannot be asked" in host.check_output(f"journalctl -u {name} -o cat --no-pager -n 30")
    host.run(f"systemctl reset-failed {name}")
    assert json.loads(host.check_output(f"{PROGRAM} alone"))["running"]


def test_how_old_everything_is_is_shown(host):
    done = host.run("systemctl start bedplate-site.service")
    assert done.rc == 0, host.check_output("journalctl -u bedplate-site -o cat --no-pager -n 30")
    text = host.file(METRICS).content_string
    assert "bedplate_site_primary 1" in text
    assert "bedplate_site_connected 0" in text
    checked = host.run(f"promtool check metrics < {METRICS}")
    assert checked.rc == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(("name", "owner"), [("pgpass", "postgres"), ("rclone.conf", "root")])
def test_secrets_are_for_who_needs_them(host, name, owner):
    file = host.file(f"/etc/bedplate/site/{name}")
    assert (file.mode, file.user) == (0o400, owner)


def test_buckets_are_fetched_by_the_clock(host):
    shown = host.check_output("systemctl show bedplate-site.timer --property TimersMonotonic,UnitFileState")
    assert "OnUnitInactiveUSec=5min" in shown
    assert "UnitFileState=enabled" in shown
