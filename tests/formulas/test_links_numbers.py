"""One number, worked out by hand, for every formula of links and networks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gpuspec.base.errors import UnknownNameError
from gpuspec.catalog import gpu
from gpuspec.constants.fabrics import board_fabric, fabric, link_key, reference_node_gb_s
from gpuspec.constants.links import Fabric, LinkTerms, NetworkTerms
from gpuspec.constants.terms import CollectiveTerms
from gpuspec.formulas.networks import (
    algorithm_bandwidth,
    all_reduce_seconds,
    all_to_all_seconds,
    bus_bandwidth,
    collective_seconds,
    point_to_point_seconds,
)
from gpuspec.formulas.networks.collectives import tree_factor, wire_factor

# Three ways to send: 1 us and 1 a step at a tenth of the link; 10 and 2 at a half; 100 and 3 at all
# of it, less 0.4 / n in an all-reduce of n GPUs and 0.2 / n in the others.
LINK = LinkTerms(
    start_us=1, step_us=1, small_share=0.1, middle_start_us=10, middle_step_us=2, middle_share=0.5,
    bulk_start_us=100, bulk_step_us=3, share=1.0, few_loss=0.4, one_way_loss=0.2, crowd_loss=0,
    exchange_start_us=5, exchange_step_us=1, exchange_bulk_us=50, exchange_small_share=0.1,
    exchange_share=1.0, pair_start_us=4, pair_share=0.5, switch_start_us=30, switch_share=1.25,
)  # fmt: skip
NETWORK = NetworkTerms(
    start_us=20, hop_us=10, ring_hop_us=5, small_gb_s=1, middle_start_us=60, middle_gb_s=2,
    bulk_start_us=200, bulk_hop_us=30, share=0.8, tree_share=0.9, pair_share=0.5, scale_loss=0.1,
    exchange_share=0.5, exchange_hop_us=2,
)  # fmt: skip
FABRIC = Fabric(
    link_bytes_s=1e9, island=8, node_bytes_s=4e9, reach_bytes_s=1e9, link=LINK, network=NETWORK
)
FAST = FABRIC.model_copy(update={"link_bytes_s": 1e10})


def us(operation, size, gpus, nodes=1, groups=1, on=FABRIC):
    return float(collective_seconds(operation, size, on, gpus, nodes, groups)) * 1e6


def test_bytes_that_cross_a_link():
    assert wire_factor("all_reduce", 4) == 1.5
    for operation in ("all_gather", "reduce_scatter", "all_to_all"):
        assert wire_factor(operation, 4) == 0.75
    assert wire_factor("broadcast", [1, 4]).tolist() == [0, 1]
    assert wire_factor("point_to_point", [1, 4]).tolist() == [0, 1]
    with pytest.raises(UnknownNameError, match="all_reduce"):
        wire_factor("gossip", 4)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (100, 1 + 6 + 0.15 / 0.1),  # 6 ring steps of 4 GPUs, 1.5 times the message
        (10_000, 10 + 12 + 15 / (0.5 * 0.9)),
        (1_000_000, 100 + 18 + 1500 / 0.9),
    ],
)
def test_an_all_reduce_takes_the_fastest_of_three_ways(size, expected):
    assert_allclose(us("all_reduce", size, 4), expected)


def test_collectives_of_one_way_take_half_the_steps():
    # 3 steps, 0.75 of the message, 5 % lost among 4 GPUs.
    assert_allclose(us("all_gather", 1e6, 4), 109 + 750 / 0.95)
    assert_allclose(us("reduce_scatter", 1e6, 4), 109 + 750 / 0.95)
    assert_allclose(us("broadcast", 1e6, 4), 109 + 1000 / 0.95)
    assert_allclose(us("all_gather", 1e4, 4), 16 + 7.5 / (0.5 * 0.95))
    assert us("all_gather", 1e6, 1) == 0


def test_an_all_to_all():
    assert_allclose(us("all_to_all", 100, 4), 5 + 2 + 0.075 / 0.1)
    assert_allclose(us("all_to_all", 1e6, 4), 50 + 750 / 0.95)
    assert us("all_to_all", 1e6, 1) == 0


def test_a_hand_off_inside_a_node():
    assert_allclose(us("point_to_point", 1e6, 4), 4 + 1000 / 0.5)
    assert us("point_to_point", 1e6, 1) == 0


def test_a_shared_path_crowds():
    # Half as much again for each GPU beyond two: twice as long for 4.
    crowded = FABRIC.model_copy(update={"link": LINK.model_copy(update={"crowd_loss": 0.5})})
    assert_allclose(us("all_reduce", 100, 4, on=crowded), 7 + 3)
    assert_allclose(us("point_to_point", 1e6, 4, on=crowded), 4 + 4000)
    assert_allclose(us("all_reduce", 100, 2, on=crowded), 3 + 1)


def test_a_switch_that_adds_up_from_five_gpus():
    adds = FABRIC.model_copy(update={"switch_adds": True})
    assert_allclose(us("all_reduce", 1e6, 8, on=adds), 30 + 1750 / 1.25)
    assert_allclose(us("all_reduce", 1e6, 4, on=adds), 118 + 1500 / 0.9)
    assert_allclose(us("all_reduce", 1e6, 8), 142 + 1750 / 0.95)
    assert_allclose(us("all_gather", 1e6, 8, on=adds), 100 + 21 + 875 / 0.975)


def test_a_bridge_joins_pairs():
    bridged = FABRIC.model_copy(update={"bridge": FAST.model_copy(update={"island": 2})})
    assert_allclose(us("point_to_point", 1e6, 2, on=bridged), 4 + 200)
    assert_allclose(us("point_to_point", 1e6, 4, on=bridged), 4 + 2000)


def test_a_board_without_a_switch():
    # A third of the links to each of three others: two GPUs use one, four use all of them.
    board = FABRIC.model_copy(update={"mesh": 4})
    assert_allclose(us("point_to_point", 1e6, 4, on=board), 4 + 6000)
    assert_allclose(us("all_reduce", 1e6, 2, on=board), 100 + 6 + 3000 / 0.8)
    assert_allclose(us("all_reduce", 1e6, 4, on=board), us("all_reduce", 1e6, 4))


def test_what_the_busiest_node_of_two_trees_sends():
    # Two nodes: half of the message up one tree, half down the other. In the middle of a tree: half
    # to the parent and half to each of two children; a leaf of the other sends its half up.
    assert tree_factor([2, 3, 4, 256]).tolist() == [1, 1.5, 2, 2]


def test_an_all_reduce_between_nodes():
    # 4 nodes: 4e9 * 0.8 / 1.1. Trees in bulk: 2 levels and 3 steps inside, up and down; twice the
    # message at 0.9 of the rate, of which 256 MiB reach 0.9.
    tree = FAST.model_copy(update={"algorithm": "tree"})
    large = 2**28
    moved = 2 * large / 1e3 / 3.2 / 0.9 / 0.9
    assert_allclose(us("all_reduce", large, 4, 4, on=tree), 338 + moved * 1.1)
    # A million bytes: the protocol in between, hops of 17 us, at 0.6 of no more than 2 GB/s.
    assert_allclose(us("all_reduce", 1e6, 4, 4, on=tree), 60 + 80 + 1000 / 0.6)
    # Where the links rule the same one starts sooner.
    slow = FABRIC.model_copy(update={"link_bytes_s": 0.95e9})
    assert_allclose(us("all_reduce", 1e6, 4, 4, on=slow), 60 + 80 + 1500 / 0.855)
    # A small one: 2 levels of 10 us and 3 steps of 1, twice; 200 bytes at 1 GB/s.
    assert_allclose(us("all_reduce", 100, 4, 4, on=FAST), 20 + 46 + 0.2)
    # Two groups share the network: a ring in the protocol in between, twice 3 hops of 7.4 us and
    # 12 steps of 2, 30/16 of the message at 120/128 of half the rate.
    expected = 60 + 92.4 + 1875 * 1.1 / 1.6 / 0.9375
    assert_allclose(us("all_reduce", 1e6, 4, 4, 2, on=FAST), expected)
    # 16 nodes: twice 15 hops and 48 steps, 126/64 of the message at 2 GB/s.
    assert_allclose(us("all_reduce", 1e6, 4, 16, on=FAST), 60 + 414 + 1968.75 / 2)
    # Bulk there: trees of four levels at a rate that three doublings slow by 1.3.
    bulk = tree.model_copy(update={"bulk_only": True})
    assert_allclose(us("all_reduce", large, 4, 16, on=bulk), 458 + moved * 1.3)


def test_efa_of_a100_takes_the_bulk_protocol_for_the_smallest_message():
    bulk = FAST.model_copy(update={"bulk_only": True})
    assert_allclose(us("all_reduce", 64, 4, 4, on=bulk), 200 + 138, rtol=1e-3)
    assert fabric(gpu("A100"), kind="efa").bulk_only
    assert not fabric(gpu("H100"), kind="efa").bulk_only
    assert not fabric(gpu("A100")).bulk_only


def test_one_gpu_of_a_node_reaches_one_adapter():
    # A quarter of the node's network, 0.8e9 of 1e9, and no links inside.
    assert_allclose(us("all_reduce", 1e6, 1, 2), 60 + 14.8 + 1000 / 0.8 / 0.9375)
    # Four reach all: a ring in bulk, a hop of 30 us and 6 steps of 3, twice; 7/4 of the message.
    assert_allclose(us("all_reduce", 1e6, 4, 2, on=FAST), 200 + 96 + 1750 / 3.2)
    every = FABRIC.model_copy(update={"reach_bytes_s": 4e9})
    assert us("all_reduce", 1e6, 1, 2, on=every) < us("all_reduce", 1e6, 1, 2)


def test_a_ring_between_nodes():
    # Twice 3 hops of 30 us and 12 steps of 3; 30/16 of the message at 0.8 of 4e9 / 1.1.
    ring = FAST.model_copy(update={"algorithm": "ring"})
    expected = 200 + 252 + 18750 * 1.1 / 4 / 0.8
    assert_allclose(us("all_reduce", 1e7, 4, 4, on=ring), expected)
    # So does a transport whose trees are slow.
    slow = NETWORK.model_copy(update={"tree_share": 0.1})
    slow_trees = FAST.model_copy(update={"network": slow})
    assert_allclose(us("all_reduce", 1e7, 4, 4, on=slow_trees), expected)
    # Once around, 15/16 of the message, in the protocol in between: hops of 7.4 us, steps of 2.
    for operation in ("all_gather", "reduce_scatter"):
        assert_allclose(us(operation, 1e6, 4, 4, on=FAST), 60 + 46.2 + 937.5 / 2)
    # A broadcast goes once around as well, all of it.
    assert_allclose(us("broadcast", 1e6, 4, 4, on=FAST), 60 + 46.2 + 1000 / 2)


def test_an_all_to_all_between_nodes():
    # 12 GPUs of other nodes at 2 us; 4 GPUs send 3/4 of their bytes out at half of 3.2e9 / 1.1.
    assert_allclose(us("all_to_all", 1e6, 4, 4, on=FAST), 20 + 24 + 3000 * 1.1 / 1.6)
    # A slow link inside rules: 50 + 750 / (0.95 * 0.1).
    slow = FABRIC.model_copy(update={"link_bytes_s": 1e8})
    assert_allclose(us("all_to_all", 1e6, 4, 4, on=slow), 44 + 50 + 7500 / 0.95)


def test_a_hand_off_between_nodes_uses_one_adapter():
    # Half of 0.8e9; or of an eighth of 3.2e9 for each of 8 groups.
    assert_allclose(us("point_to_point", 1e6, 1, 2), 20 + 2500)
    assert_allclose(us("point_to_point", 1e6, 1, 2, 8), 20 + 5000)


def test_a_switch_that_adds_up_inside_nodes():
    # Inside 1.75e6 bytes at 1.25e9: 1400 us, more than the network takes in the protocol in
    # between: one level of 17 us and 7 steps of 2, up and down. It does not for four GPUs.
    adds = FABRIC.model_copy(update={"switch_adds": True})
    assert_allclose(us("all_reduce", 1e6, 8, 2, on=adds), 60 + 62 + 1400)
    assert us("all_reduce", 1e6, 4, 2, on=adds) == us("all_reduce", 1e6, 4, 2)
    # Without the switch at 0.95e9, less than a ring of low latency takes through the network: one
    # hop of 5 us and 14 steps of 1, twice; 30/16 of the message.
    assert_allclose(us("all_reduce", 1e6, 8, 2), 20 + 38 + 1875)


def test_a_bridge_joins_pairs_of_several_nodes():
    # Two GPUs of each of two nodes: inside 1000 / 0.8 at 1e9 without the bridge, a tenth with it.
    wide = FABRIC.model_copy(update={"reach_bytes_s": 4e9})
    fast = wide.model_copy(update={"link_bytes_s": 1e10, "island": 2})
    bridged = wide.model_copy(update={"bridge": fast})
    assert us("all_reduce", 1e7, 2, 2, on=bridged) == us("all_reduce", 1e7, 2, 2, on=fast)
    assert us("all_reduce", 1e7, 4, 2, on=bridged) == us("all_reduce", 1e7, 4, 2, on=wide)


def test_nodes_without_a_network_never_finish():
    alone = FABRIC.model_copy(update={"node_bytes_s": 0.0})
    assert us("all_reduce", 1e6, 4, 2, on=alone) == np.inf
    assert_allclose(us("all_reduce", 1e6, 4, 1, on=alone), 118 + 1500 / 0.9)


def test_bandwidths_as_nccl_tests_prints_them():
    assert algorithm_bandwidth(1e9, 0.5) == 2e9
    assert bus_bandwidth("all_gather", 1e9, 4, 0.5) == 1.5e9


# --- engines' own collectives ------------------------------------------------------------------

OWN = CollectiveTerms(
    start_us=1, per_doubling_us=2, one_shot_share=0.5, ring_start_us=10, share_2=0.5, share_4=1.0,
    share_8=1.2,
)  # fmt: skip


def test_an_engine_s_all_reduce():
    # One shot: 1 + 2 us, 3 messages at half of 1e9. Two steps: 10 + 2 us, 1.5 messages.
    assert_allclose(all_reduce_seconds(1e3, 4, 1e9, OWN), 9e-6)
    assert_allclose(all_reduce_seconds(1e5, 4, 1e9, OWN), 162e-6)
    # Between 2 GPUs: half of the link; of 8: 1.2 of it, 10 + 4 us; of 3: log2(3) = 1.585 -> 0.7925.
    assert_allclose(all_reduce_seconds(1e5, 2, 1e9, OWN), 201e-6)  # one shot: 1 + 200
    assert_allclose(all_reduce_seconds(1e5, 8, 1e9, OWN), (14 + 175 / 1.2) * 1e-6)
    expected = (10 + 2 * 0.5849625 + 400 / 3 / 0.79248125) * 1e-6
    assert_allclose(all_reduce_seconds(1e5, 3, 1e9, OWN), expected, rtol=1e-6)
    assert all_reduce_seconds(1e5, 1, 1e9, OWN) == 0


def test_an_engine_s_all_to_all_and_hand_off():
    assert_allclose(all_to_all_seconds(1e5, 4, 1e9, OWN), 85e-6)  # 10 + 75
    assert_allclose(all_to_all_seconds(1e5, 8, 1e9, OWN), 97.5e-6)  # no more than the link
    assert all_to_all_seconds(1e5, 1, 1e9, OWN) == 0
    assert_allclose(point_to_point_seconds(1e5, 1e9, OWN), 201e-6)
    most = OWN.model_copy(update={"share_2": 1.3})
    assert_allclose(point_to_point_seconds(1e5, 1e9, most), 101e-6)


# --- fabrics of the catalogue ------------------------------------------------------------------


def test_rates_of_a_fabric_are_of_one_direction():
    # NVLink 4: 900 GB/s both ways; eight adapters of 400 Gbit/s.
    h100, a100 = fabric(gpu("H100")), fabric(gpu("A100"))
    assert (h100.link_bytes_s, h100.node_bytes_s, h100.island) == (450e9, 400e9, 8)
    assert (a100.link_bytes_s, a100.node_bytes_s, a100.switch_adds) == (300e9, 200e9, False)
    assert fabric(gpu("H100"), node_gb_s=50).node_bytes_s == 50e9
    # One GPU reaches one adapter, or its eighth of the node where that is more.
    assert (h100.reach_bytes_s, a100.reach_bytes_s) == (50e9, 25e9)
    assert [fabric(gpu("H100"), rate).reach_bytes_s for rate in (1.25, 800)] == [1.25e9, 100e9]
    assert h100.switch_adds
    assert not fabric(gpu("H100"), switch_adds=False).switch_adds
    # PCIe cards: 64 GB/s both ways of generation 4, shared; a bridge joins two of them.
    card = fabric(gpu("A100 PCIe 80GB"))
    assert (card.link_bytes_s, card.island, card.bridge) == (32e9, 8, None)
    assert card.link.crowd_loss > 0
    peers = fabric(gpu("A100 PCIe 80GB"), pcie_path="peer")
    assert peers.link.crowd_loss < card.link.crowd_loss
    pair = fabric(gpu("A100 PCIe 80GB"), bridge_gpus=2)
    assert (pair.bridge.link_bytes_s, pair.bridge.island, pair.link_bytes_s) == (300e9, 2, 32e9)
    assert (link_key(gpu("H100")), link_key(gpu("L40S"))) == ("nvlink-4", "pcie-4")


def test_cards_across_two_processors_share_what_joins_those():
    card, size = gpu("H100 PCIe"), 2.0**36
    one, two = (fabric(card, pcie_path="peer", pcie_sockets=n) for n in (1, 2))
    assert (one.socket_bytes_s, two.socket_bytes_s) == (0.0, 28e9)
    bytes_across = {
        "all_reduce": 1.75 * size,  # a ring crosses once each way: 2 x 7/8
        "all_gather": 0.875 * size,
        "all_to_all": 2 * size,  # four cards send half of theirs, each of eight holds `size`
        "point_to_point": size,
    }
    for operation, across in bytes_across.items():
        seconds = float(collective_seconds(operation, size, two, 8))
        assert seconds == pytest.approx(across / 28e9, rel=1e-3), operation
        assert seconds > float(collective_seconds(operation, size, one, 8))
    assert fabric(gpu("A100 PCIe 80GB"), pcie_sockets=2).socket_bytes_s == 20e9
    assert fabric(gpu("H100"), pcie_sockets=2).socket_bytes_s == 0.0  # NVSwitch joins all
    keys = [link_key(gpu("L40S"), path, n) for path in ("host", "peer") for n in (1, 2)]
    assert keys == ["pcie-4", "pcie-4-sockets", "pcie-4-peer", "pcie-4-peer-sockets"]


def test_boards_and_racks():
    board = board_fabric(gpu("A100"))
    assert (board.mesh, board.island, board.link_bytes_s) == (4, 4, 300e9)
    assert not board_fabric(gpu("H100")).switch_adds
    superchips = [fabric(gpu("GH200"), gpus_per_node=n) for n in (1, 2, 4, 8)]
    assert [f.mesh for f in superchips] == [0, 4, 4, 0]
    pair, board = (float(collective_seconds("all_gather", 2**34, superchips[2], n)) for n in (2, 4))
    assert board < pair  # two of four use a third of their links
    # Eight GPUs share 400 GB/s, the 72 of a rack nine times that.
    assert [reference_node_gb_s(gpu(name)) for name in ("H100", "GB200")] == [400, 3600]
