"""A GPU host joins a cluster whose API has a name."""

import yaml


def test_it_joins_as_the_inventory_says(host):
    config = yaml.safe_load(host.check_output("cat /var/lib/stand-in/config"))
    assert config["timeouts"] == {"discovery": "1m"}
    assert [taint["key"] for taint in config["nodeRegistration"]["taints"]] == ["nvidia.com/gpu"]
    assert host.check_output("head -n 1 /var/lib/stand-in/calls") == "token create --ttl 300s"


def test_it_asks_the_api_by_its_name(host):
    found = yaml.safe_load(host.check_output("cat /var/lib/stand-in/discovery"))
    assert found["clusters"][0]["cluster"]["server"] == "https://api.example.internal:8443"
