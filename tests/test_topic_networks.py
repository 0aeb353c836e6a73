"""Collectives: laws, published bandwidths, and tables of the interconnect notebook."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuspec.base.errors import InputError, UnknownNameError
from gpuspec.catalog import gpu
from gpuspec.constants.collectives import (
    FAR_NETWORKS,
    collective_errors,
    collective_interval,
    joined_ground,
)
from gpuspec.constants.fabrics import NETWORKS, board_fabric, fabric
from gpuspec.constants.ground import KNOWN
from gpuspec.evidence.measurements.collectives import prepared_collectives
from gpuspec.evidence.measurements.rows import measurements
from gpuspec.formulas.networks import (
    OPERATIONS,
    algorithm_bandwidth,
    bus_bandwidth,
    collective_seconds,
)
from gpuspec.topics import networks
from gpuspec.topics.networks import NetworksQuestion, pictures, words

SIZES = st.integers(3, 34).map(lambda power: 2.0**power)
COUNTS, MEMBERS = st.sampled_from([1, 2, 4, 8]), st.sampled_from([2, 4, 8])
NODES = st.sampled_from([2, 8, 64, 1024])
KINDS = st.sampled_from(NETWORKS)


FABRICS = [fabric(gpu("H100"), kind=kind) for kind in NETWORKS]
FABRICS += [board_fabric(gpu("A100")), fabric(gpu("L40S")), fabric(gpu("L40S"), pcie_path="peer")]


@given(st.sampled_from(OPERATIONS), SIZES, COUNTS, NODES, st.sampled_from(FABRICS))
def test_more_bytes_never_arrive_earlier(operation, size, gpus, nodes, joined):
    gpus = min(gpus, joined.island)
    one, two = collective_seconds(operation, [size, 2 * size], joined, gpus, nodes)
    assert 0 < one <= two


@given(st.sampled_from(OPERATIONS), SIZES, st.floats(1, 400), st.floats(1.1, 4), COUNTS, KINDS)
def test_a_faster_network_is_never_slower(operation, size, rate, factor, gpus, kind):
    slow, fast = (
        collective_seconds(operation, size, fabric(gpu("H100"), r, kind), gpus, 4)
        for r in (rate, rate * factor)
    )
    assert fast <= slow * (1 + 1e-9)


@given(st.sampled_from(OPERATIONS), SIZES)
def test_one_gpu_waits_for_nobody(operation, size):
    assert collective_seconds(operation, size, fabric(gpu("A100")), 1, 1) == 0


@given(st.sampled_from(OPERATIONS), SIZES, COUNTS, NODES, KINDS)
def test_more_nodes_are_never_faster(operation, size, gpus, nodes, kind):
    joined = fabric(gpu("H100"), kind=kind)
    few, many = collective_seconds(operation, size, joined, gpus, [nodes, 2 * nodes])
    assert few <= many * (1 + 1e-9)


def test_a_node_s_whole_network_needs_all_of_its_gpus():
    seconds = collective_seconds("all_gather", 2**33, fabric(gpu("H100")), [1, 2, 4, 8], 4)
    assert (np.diff(seconds) < 0).all()
    assert seconds[0] > 6 * seconds[-1]


@given(st.sampled_from(["all_reduce", "all_gather", "reduce_scatter"]), SIZES, MEMBERS)
def test_no_ring_beats_its_link(operation, size, gpus):
    joined = fabric(gpu("H100"), switch_adds=False)
    seconds = collective_seconds(operation, size, joined, gpus)
    assert bus_bandwidth(operation, size, gpus, seconds) < joined.link_bytes_s


def test_a_column_of_messages_equals_its_rows():
    sizes = np.geomspace(8, 2**33, 12)
    column = collective_seconds("all_reduce", sizes, fabric(gpu("H200")), 8, 2)
    rows = [float(collective_seconds("all_reduce", s, fabric(gpu("H200")), 8, 2)) for s in sizes]
    assert column == pytest.approx(rows)


@pytest.mark.parametrize(
    ("name", "adds", "published"),
    [  # bus bandwidth of 8 GPUs at 16 GiB, GB/s: ml-engineering, network/README.md (2026-08)
        ("A100", None, 234.9),
        ("H200", False, 367.6),
        ("H200", True, 481.0),
    ],
)
def test_published_all_reduces(name, adds, published):
    seconds = collective_seconds("all_reduce", 2**34, fabric(gpu(name), switch_adds=adds), 8)
    assert bus_bandwidth("all_reduce", 2**34, 8, seconds) / 1e9 == pytest.approx(published, rel=0.1)


def test_the_switch_adds_from_five_gpus_on():
    plain, adding = (fabric(gpu("H100"), switch_adds=s) for s in (False, True))
    four = [float(collective_seconds("all_reduce", 2**32, f, 4)) for f in (plain, adding)]
    eight = [float(collective_seconds("all_reduce", 2**32, f, 8)) for f in (plain, adding)]
    assert four[0] == four[1]
    assert eight[1] < 0.85 * eight[0]


def test_bridges_serve_pairs_and_switches_spare_the_host():
    card, size = gpu("A100 PCIe 80GB"), 2.0**30
    alone, bridged = fabric(card), fabric(card, bridge_gpus=2)
    two, four = (
        [float(collective_seconds("all_reduce", size, f, n)) for f in (alone, bridged)]
        for n in (2, 4)
    )
    assert two[1] < two[0] / 4
    assert four[0] == four[1]
    switched = collective_seconds("all_reduce", size, fabric(card, pcie_path="peer"), 8)
    assert switched < collective_seconds("all_reduce", size, alone, 8) / 2


def test_wrong_names_get_close_matches():
    with pytest.raises(UnknownNameError, match="all_reduce"):
        collective_seconds("allreduce", 1e6, fabric(gpu("H100")))
    with pytest.raises(UnknownNameError, match="infiniband"):
        fabric(gpu("H100"), kind="infinibnd")
    with pytest.raises(UnknownNameError, match="all_gather"):
        networks.NetworksQuestion.ask(gpus="H100", model="Llama-3.1-8B", operation="all_gathr")


def test_bandwidths_are_those_of_nccl_tests():
    assert algorithm_bandwidth(1e9, 0.5) == 2e9
    assert bus_bandwidth("all_gather", 1e9, 4, 0.5) == pytest.approx(1.5e9)


def test_held_out_errors_keep_what_the_documents_promise():
    errors = collective_errors()
    assert errors.loc["from 1 MiB", "median_error"] <= 0.16
    assert errors.loc["below 1 MiB", "median_error"] <= 0.25
    low, high = collective_interval([1.0, 1.0], [2**10, 2**30], [1, 4])
    assert (low < 1).all()
    assert (high > 1).all()


def test_lines_of_far_ground_count_the_rows_whose_answers_say_far():
    rows, errors = prepared_collectives(measurements("collectives")), collective_errors()
    asked = zip(rows["link"], rows["gpus_per_node"], rows["network_kind"], strict=True)
    far = [
        kind in ("slingshot", "efa-shared", "tcp")
        or link.endswith("-sockets")
        or (link in ("pcie-4", "pcie-5") and cards > 2)
        for link, cards, kind in asked
    ]
    place = rows["reach"] + ", " + rows["size"] + np.where(far, ", far ground", "")
    counts = place.value_counts()
    assert errors.loc[counts.index, "rows"].to_dict() == counts.to_dict()
    levels = {kind: joined_ground(gpu("H100"), 16, kind, 400.0).level for kind in NETWORKS}
    assert {kind for kind, level in levels.items() if level == "far"} == set(FAR_NETWORKS)


def test_cards_across_processors_are_asked_and_far_whatever_the_path():
    asked = {"gpus": "L40S", "operation": "all_reduce", "gpus_per_node": 2}
    one, two = (
        networks.bandwidth_table(NetworksQuestion.ask(**asked, pcie_sockets=n)) for n in (1, 2)
    )
    assert two["wiring"].str.endswith("two sockets").all()
    assert (two["ground"] == 2).all()
    assert (one.loc[one["link"] == "pcie-4-peer", "ground"] < 2).any()
    last = [table.groupby("link")["bus_gb_s"].last() for table in (one, two)]
    assert last[1]["pcie-5-peer-sockets"] == pytest.approx(28, rel=0.01)
    assert last[0]["pcie-5-peer"] > 40
    with pytest.raises(InputError, match="pcie_sockets"):
        NetworksQuestion.ask(**asked, pcie_sockets=3)


def test_pcie_cards_alone_have_a_picture():
    q = NetworksQuestion.ask(gpus="L40S")
    table, seen = networks.bandwidth_table(q), networks.measured_table(q)
    assert len(pictures.bus_bandwidth(table, seen, "cards").axes) == 2


def test_far_intervals_are_as_wide_as_far_errors():
    found = collective_interval(np.ones(2), 2**30, 2, "nvlink-4", [0, 2], "infiniband")
    (near_low, far_low), (near_high, far_high) = found
    assert far_low < 0.7 * near_low
    assert far_high > 1.5 * near_high


@pytest.mark.parametrize("size", [2**14, 2**28])
@pytest.mark.parametrize("nodes", [1, 2, 64])
@pytest.mark.parametrize("link", ["nvlink-3", "nvlink-4-mesh", "pcie-4", "pcie-5-peer-sockets"])
def test_far_intervals_are_never_narrower_than_known_ones(link, nodes, size):
    members = np.array([2, 4, 8])
    known, far = (
        collective_interval(np.ones(3), size, nodes, link, level, "infiniband", members)
        for level in (0, 2)
    )
    assert (far[0] < known[0]).all()
    assert (far[1] > known[1]).all()


def test_intervals_of_many_pcie_cards_hold_what_servers_differ_by():
    low, high = collective_interval(np.ones(3), 2**28, 1, "pcie-4", 2, None, [2, 4, 8])
    assert (np.diff(high / low) > 0).all()
    # Eight cards of the same rate were measured at 1.4 and at 15 GB/s.
    assert high[2] / low[2] > 15 / 1.4
    errors = collective_errors()
    for place in ("in a node, from 1 MiB", "in a node, from 1 MiB, far ground"):
        assert 0.75 <= errors.loc[place, "coverage"] <= 0.88


def test_cards_through_the_host_have_wider_shares_than_modules_on_nvlink():
    q = NetworksQuestion.ask(gpus="A100 PCIe 80GB,A100")
    table = networks.tensor_table(q, ["Llama-3.1-8B"])
    table = table[table["tp"] == 8].assign(odds=lambda t: t["share_high"] / (1 - t["share_high"]))
    middle = table["share"] / (1 - table["share"])
    spread = (table["odds"] / middle).groupby(table["gpu"]).max()
    assert spread["a100-pcie-80"] > 2 * spread["a100-sxm-80"]


@pytest.fixture(scope="module")
def question():
    return networks.NetworksQuestion.ask(gpus="A100,H100,H200", model="Llama-3.1-8B")


def test_ten_gigabit_ethernet_makes_two_nodes_slower_than_one(question):
    table = networks.network_table(question, question.devices[1])
    two = table[table["nodes"] == 2].set_index("network")["speed"]
    assert two.filter(like="10 GbE").iloc[0] < 1
    assert two.max() > 1.8
    assert (table["efficiency_low"] <= table["efficiency"]).all()


def test_pcie_waits_more_for_tensor_parallelism_than_nvlink(question):
    table = networks.tensor_table(question, [question.network])
    share = table[table["tp"] == 8].groupby(table["wiring"].str.startswith("PCIe"))["share"]
    assert share.min()[True] > share.max()[False]


def test_what_is_not_sure_of_a_model_is_said_where_it_trains(tmp_path):
    path = tmp_path / "unsure.json"
    keys = {"model_type": "llama", "hidden_size": 1024, "num_hidden_layers": 4}
    keys |= {"num_attention_heads": 8, "intermediate_size": 4096, "vocab_size": 32000}
    keys |= {"max_position_embeddings": 4096, "architectures": ["LlamaForCausalLM"]}
    path.write_text(json.dumps(keys | {"my_extra_attention": 3}), "utf-8")
    question = networks.NetworksQuestion.ask(model=str(path), gpus="H100", nodes="2")
    table = networks.network_table(question, question.devices[0])
    assert "my_extra_attention" in words.network_sentences(question, table).text


def test_tables_of_jobs_say_what_was_measured_of_their_links():
    q = NetworksQuestion.ask(nodes="2,4")
    scaling = networks.network_table(q, q.devices[1])
    by = scaling.groupby("network")["ground"].last()
    assert by["10 GbE"] == "far"  # slower than every network that was measured
    assert by["8 x NDR"] == "measured"
    assert (scaling.loc[scaling["nodes"] == 1, "ground"] == "measured").all()
    said = words.network_sentences(q, scaling).text
    assert "Ground of 10 GbE" in said
    assert "25 GB/s a node" in said
    tensor = networks.tensor_table(q, [q.model])
    assert set(tensor.loc[tensor["wiring"].str.startswith("NVLink"), "ground"]) == {"measured"}
    peer = tensor[tensor["wiring"].str.startswith("PCIe 5, peer")]
    assert set(peer["ground"]) == {"near"}  # one publisher measured them
    shared = tensor[
        tensor["wiring"].str.startswith("PCIe 5, through the host") & (tensor["tp"] > 2)
    ]
    assert set(shared["ground"]) == {"far"}
    assert "PCIe 5, peer to peer: near" in words.known_sentence(tensor, "wiring")
    forms = networks.form_table(q, ("llama-3.2-1b",))
    said = words.form_sentences(forms)
    assert "Ground: far" in said  # all pairs: cards that share the host's path
    assert "more than two PCIe cards through the host" in said


def test_far_ground_widens_the_share_that_a_network_leaves(monkeypatch):
    q = NetworksQuestion.ask(nodes="4")
    far = networks.network_table(q, q.devices[1]).iloc[1]
    monkeypatch.setattr("gpuspec.topics.networks.jobs.joined_ground", lambda *_: KNOWN)
    near = networks.network_table(q, q.devices[1]).iloc[1]
    assert far["efficiency"] == near["efficiency"]
    assert far["efficiency_low"] < near["efficiency_low"]
    assert far["efficiency_high"] > near["efficiency_high"]
