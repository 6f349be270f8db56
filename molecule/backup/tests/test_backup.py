"""A host that is told no server: the program is there and says what it lacks, and nothing runs."""


def test_nothing_runs_that_could_not_work(host):
    assert host.run("systemctl list-unit-files 'backup-*' --no-legend").stdout == ""
    assert not host.file("/etc/bedplate/backup").exists


def test_the_program_says_what_it_lacks(host):
    answer = host.run("python3 -B /usr/local/lib/bedplate/backup/bedplate_backup.py run")
    assert answer.rc == 3
    assert "/etc/bedplate/backup/backup.json" in answer.stdout


def test_restic_is_not_there_without_a_reason(host):
    assert not host.package("restic").is_installed
