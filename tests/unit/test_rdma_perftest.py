"""What perftest said on real machines, read as figures. Recorded texts, shortened at the top; their hosts
are unnamed."""

import pytest
from rdma import perftest

BW_100G = """
 Link type       : Ethernet
 GID index       : 5
 rdma_cm QPs     : OFF
---------------------------------------------------------------------------------------
 local address: LID 0000 QPN 0x1ac66 PSN 0x438e4e RKey 0x0538e4 VAddr 0x007f9848bc6000
---------------------------------------------------------------------------------------
 #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]
 8388608    5000             98.03              98.03              0.001461
---------------------------------------------------------------------------------------
"""
BW_BUSY_CPU = """
 #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]
Conflicting CPU frequency values detected: 3295.212000 != 5003.410000. CPU Frequency is not max.
 65536      1000             328.64             328.61 \t\t     0.626777
---------------------------------------------------------------------------------------
"""
BW_SOFT = """
#bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]
65536      1000             0.00               6.19               0.011814
"""
BW_ALL = """
   #bytes     #iterations    BW peak[Gb/sec]    BW average[Gb/sec]   MsgRate[Mpps]
   2          5000           0.142947            0.012281            0.767588
   1024       5000             67.22              66.92              8.168969
   2048       5000             129.04             126.20             7.702863
"""
BW_MB = """
#bytes     #iterations    BW peak[MB/sec]    BW average[MB/sec]   MsgRate[Mpps]
65536      100             20.10              19.98              0.000320
"""
LAT = """
 #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    t_stdev[usec]   99%
 percentile[usec]   99.9% percentile[usec]
 2       1000          1.57           9.65         1.84     \t       2.04        \t0.69   \t\t5.02    \t\t9.65
"""
LAT_SOFT = """
 #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    t_stdev[usec]   99%
 percentile[usec]   99.9% percentile[usec]
 2       1000          453.06         37330.73     692.41            928.05           2465.901216.65
        37330.73
"""
LAT_BUSY_CPU = """
 #bytes #iterations    t_min[usec]    t_max[usec]  t_typical[usec]    t_avg[usec]    t_stdev[usec]   99%
 percentile[usec]   99.9% percentile[usec]
Conflicting CPU frequency values detected: 2200.000000 != 1040.353000. CPU Frequency is not max.
 2       1000          6.88           16.81        7.04              7.06         0.31      7.38        16.81
"""


@pytest.mark.parametrize(
    ("text", "size", "gbits"),
    [(BW_100G, 8388608, 98.03), (BW_BUSY_CPU, 65536, 328.61), (BW_SOFT, 65536, 6.19), (BW_ALL, 2048, 126.20)],
    ids=["100G", "busy CPU", "soft", "all sizes"],
)
def test_bandwidth(text: str, size: int, gbits: float) -> None:
    last = perftest.bandwidth(text)[-1]
    assert (last.size, last.gbits) == (size, gbits)


def test_every_size_is_a_row() -> None:
    assert [row.size for row in perftest.bandwidth(BW_ALL)] == [2, 1024, 2048]


def test_megabytes_are_converted() -> None:
    assert perftest.bandwidth(BW_MB)[0].gbits == pytest.approx(0.1676, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "typical", "tail"),
    [(LAT, 1.84, 5.02), (LAT_SOFT, 692.41, 1216.65), (LAT_BUSY_CPU, 7.04, 7.38)],
    ids=["plain", "figures that run into each other", "busy CPU"],
)
def test_latency(text: str, typical: float, tail: float) -> None:
    (row,) = perftest.latency(text)
    assert (row.typical, row.tail) == (typical, tail)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "said nothing"),
        (" IB device rxe0 not found\nUnable to find the Infiniband/RoCE device\n", "Unable to find"),
        (
            "Couldn't connect to 10.20.0.12:18515\nUnable to open file descriptor for socket connection",
            "Unable to open",
        ),
        (BW_100G.partition(" 8388608")[0], "#bytes"),
        (" Completion with error at client\n Failed status 12: wr_id 0 syndrom 0x81\n", "Failed status 12"),
    ],
    ids=["silence", "no device", "no server", "cut off", "retries exceeded"],
)
def test_what_perftest_did_not_do_is_said_in_its_words(text: str, words: str) -> None:
    for read in (perftest.bandwidth, perftest.latency):
        with pytest.raises(perftest.Unclear, match=words):
            read(text)


@pytest.mark.parametrize(
    ("measured", "link", "soft", "passed", "gate"),
    [
        (92.4, 100, False, True, 90.0),
        (89.9, 100, False, False, 90.0),
        (380.0, 400, False, True, 360.0),
        (20.0, 400, False, False, 360.0),
        (0.02, 1, True, True, 0.0),
        (0.0, 1, True, False, 0.0),
    ],
)
def test_verdict(measured: float, link: float, soft: bool, passed: bool, gate: float) -> None:
    said = perftest.verdict(measured, link, soft)
    assert (said["pass"], said["gate"], said["unit"]) == (passed, gate, "Gbit/s")


@pytest.mark.parametrize("text", [LAT, LAT_SOFT])
def test_latency_is_no_bandwidth(text: str) -> None:
    with pytest.raises(perftest.Unclear):
        perftest.bandwidth(text)


SETTINGS = {"size": 8388608, "repetitions": 5000, "latency_repetitions": 1000, "patience": 120, "gpu": -1}
CARD = {"device": "mlx5_0", "netdev": "data0", "gid": 3}


@pytest.mark.parametrize(
    ("what", "device", "soft", "peer", "words"),
    [
        (
            "bandwidth",
            CARD,
            False,
            "",
            "timeout 120 ib_write_bw -d mlx5_0 -F --report_gbits -x 3 -s 8388608 -n 5000",
        ),
        (
            "latency",
            CARD,
            False,
            "10.20.0.12",
            "timeout 120 ib_send_lat -d mlx5_0 -F -x 3 -n 1000 10.20.0.12",
        ),
        (
            "bandwidth",
            {**CARD, "device": "rxe0", "gid": 1},
            True,
            "10.20.0.12",
            "timeout 120 ib_write_bw -d rxe0 -F --report_gbits -x 1 -u 21 -s 65536 -n 100 -t 4 10.20.0.12",
        ),
        (
            "bandwidth",
            {"device": "ibp12s0", "netdev": "", "gid": None},
            False,
            "",
            "timeout 120 ib_write_bw -d ibp12s0 -F --report_gbits -s 8388608 -n 5000",
        ),
    ],
    ids=["RoCE server", "RoCE latency", "soft-RoCE", "InfiniBand has no choice of GIDs"],
)
def test_commands(what: str, device: dict[str, object], soft: bool, peer: str, words: str) -> None:
    assert " ".join(perftest.command(what, device, SETTINGS, soft=soft, peer=peer)) == words


@pytest.mark.parametrize("peer", ["", "10.20.0.12"])
def test_gpudirect_is_measured_on_both_sides_where_a_card_can(peer: str) -> None:
    wish = {**SETTINGS, "gpu": 2}
    said = perftest.command("bandwidth", CARD, wish, soft=False, peer=peer)
    assert said[said.index("5000") + 1 :] == ["--use_cuda=2", "--use_cuda_dmabuf", *([peer] if peer else [])]
    assert "--use_cuda=2" not in perftest.command("bandwidth", CARD, wish, soft=True, peer=peer)
    assert "--use_cuda=2" not in perftest.command("latency", CARD, wish, soft=False, peer=peer)
