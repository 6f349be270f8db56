"""A host joins by credentials that are over soon, once."""

import yaml

TOKEN = "abcdef.0123456789abcdef"  # the stand-in's


def test_kubeadm_joined_once_by_a_token_that_is_over_soon(host):
    calls = host.check_output("cat /var/lib/stand-in/calls").splitlines()
    assert calls[0] == "token create --ttl 900s"
    assert [call.split()[0] for call in calls] == ["token", "join"]


def test_the_cluster_is_known_by_its_certificate_and_asked_with_credentials(host):
    found = yaml.safe_load(host.check_output("cat /var/lib/stand-in/discovery"))
    cluster = found["clusters"][0]["cluster"]
    assert cluster["server"] == "https://10.0.0.1:6443"
    assert cluster["certificate-authority-data"] == "Q0VSVElGSUNBVEUK"
    assert found["users"][0]["user"]["token"] == TOKEN


def test_the_token_stays_nowhere(host):
    assert host.run("ls /run/bedplate/*").rc != 0
    assert host.run(f"grep -r {TOKEN} /etc /var/lib/bedplate").rc == 1
