"""A host that keeps no models."""


def test_nothing_is_made_for_models_that_nobody_wishes(host):
    assert not host.file("/srv/hot").exists
    assert not host.file("/var/lib/bedplate/results/model_store.json").exists


def test_the_module_runs_with_the_python_of_the_host(host):
    """What the standard library of Python 3.9 has is all that there is on a host."""
    assert host.check_output("python3 -c 'import sys; print(sys.version_info >= (3, 9))'") == "True"
