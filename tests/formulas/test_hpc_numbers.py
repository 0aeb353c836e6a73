"""One number, worked out by hand, for every formula of scientific computing."""

import numpy as np
from numpy.testing import assert_allclose
from test_links_numbers import FABRIC, LINK

from gpuspec.catalog import gpu
from gpuspec.catalog.workloads import workload
from gpuspec.formulas.hpc import (
    Chip,
    DynamicTerms,
    Exchange,
    HpcTerms,
    Machine,
    Work,
    bound,
    cell_updates_s,
    dynamic_parts,
    energy_joules,
    exchange_seconds,
    exposed_seconds,
    fixed_seconds,
    gpu_parts,
    gpu_seconds,
    instructions_per_cell,
    joined,
    power_share,
    serial_seconds,
    surface_units,
    transfer_seconds,
    waiting,
)
from gpuspec.formulas.hpc.devices import chip, host_link_bytes_s, machine, work_at
from gpuspec.formulas.hpc.scaling import halo_seconds

# Half of the operations in FP64 at 1000/s, half in FP32 at 2000/s; 100 bytes/s, 400 from L2; 0.6
# and 1.2 J an operation: 0.9 J in 0.75 ms are 1200 W, four times the limit of the chip.
MACHINE = Machine(
    rates=np.array([1000.0, 1.0, 2000.0, 1.0, 1.0, 1.0]),
    bandwidth_bytes_s=np.asarray(100.0),
    l2_bytes_s=np.asarray(400.0),
    power_w=np.asarray(300.0),
    chip_w=np.asarray(300.0),
    joules=np.array([0.6, 0, 1.2, 0, 0, 0]),
    clock_hz=np.asarray(1e9),
    host_bytes_s=np.asarray(8.0),
)
WORK = Work(100, np.array([0.5, 0, 0.5, 0, 0, 0]), 50, 0.5, 4)
HALVES = HpcTerms(compute_share=0.5, bandwidth_share=0.5, cache_share=0.5, power_exponent=0.5)


def test_what_each_resource_would_need():
    # 10 units of 100 operations: 1000 * (0.5 / 1000 + 0.5 / 2000) / (0.5 * 0.25^0.5) = 3 s. 500
    # bytes at half of 100/s: 10 s. With as many again from L2: 1000 at half of 400/s: 5 s.
    parts = gpu_parts(10, WORK, MACHINE, HALVES)
    assert_allclose([parts[k] for k in ("compute", "memory", "cache")], [3, 10, 5])
    assert bound(parts) == "memory"
    # (3^4 + 10^4 + 5^4)^(1/4) = 10706^(1/4) = 10.1720
    assert_allclose(joined(parts), 10.1720, rtol=1e-5)
    assert_allclose(gpu_seconds(10, WORK, MACHINE, HALVES), 10.1720, rtol=1e-5)


def test_transfers_to_the_host():
    assert transfer_seconds(10, WORK, MACHINE) == 5
    assert WORK.intensity == 2
    assert MACHINE.scaled(bandwidth_bytes_s=3).bandwidth_bytes_s == 300


def test_what_no_gpu_changes():
    assert_allclose(fixed_seconds(8.0, 0.2), 2.0)  # a fifth of 8 + 2


def test_what_more_sms_do_not_shorten():
    # 10 s beside the reference, 8 of them a chain of kernels: at twice the clock 4; the host's 2
    # grow with three times the work.
    assert_allclose(serial_seconds(10, 0.8, 2), 4 + 2)
    assert_allclose(serial_seconds(10, 0.8, 2, 3), 4 + 6)


def test_what_a_power_limit_leaves_of_the_clock():
    assert_allclose(power_share(WORK, MACHINE), 0.25)
    assert_allclose(power_share(WORK, MACHINE.scaled(chip_w=8)), 1)  # more than they draw


# --- many GPUs ---------------------------------------------------------------------------------


def test_surfaces():
    # 2 faces in each of 2 dimensions that 4 GPUs cut, of (1e6)^(2/3); in 2 dimensions sqrt(1e6).
    assert_allclose(surface_units(1e6, 3, 4), 40_000)
    assert_allclose(surface_units(1e6, 2, 64), 4_000)
    assert surface_units(1e6, 3, 1) == 0
    assert surface_units(1e6, 0, 64) == 0


HALO = Exchange(dimensions=3, halo_bytes=10)


def us(found):
    return float(found) * 1e6


def test_the_share_of_a_halo_that_leaves_the_node():
    # 60,000 units of 10 bytes. In one node all of it over the link: 4 us and half of 1e9.
    assert_allclose(us(halo_seconds(1e6, HALO, FABRIC, 8, 1)), 4 + 1200)
    # On 8 nodes 8^(-1/3) = half leaves, over an eighth of 3.2e9 each, half of it; half stays.
    assert_allclose(us(halo_seconds(1e6, HALO, FABRIC, 8, 8)), 20 + 1500)
    # 27^(-1/3) = a third leaves where 27 GPUs of a node hold a cube.
    assert_allclose(us(halo_seconds(1e6, HALO, FABRIC, 27, 8)), 20 + 200 / (3.2 / 27 * 0.5))
    # One GPU a node: all of it leaves.
    assert_allclose(us(halo_seconds(1e6, HALO, FABRIC, 1, 64)), 20 + 600 / 0.4)
    # Where both cross the shared path all of it goes through: 1 + 6 * 0.5 = 4 times as slow.
    crowd = FABRIC.model_copy(update={"link": LINK.model_copy(update={"crowd_loss": 0.5})})
    assert_allclose(us(halo_seconds(1e6, HALO, crowd, 8, 8)), 4 + 4800)


def test_the_exchange_of_a_step():
    # All-to-all of 1e6 bytes over 8: 50 + 875 / 0.975. Sums of 64 bytes: 15 + 0.112 / 0.1 each.
    every = Exchange(dimensions=3, halo_bytes=10, transpose_bytes=1, reduces=2)
    expected = 1204 + (50 + 875 / 0.975) + 2 * 16.12
    assert_allclose(us(exchange_seconds(1e6, every, FABRIC)), expected)
    assert_allclose(us(exchange_seconds(1e6, HALO, FABRIC)), 1204)


def test_what_overlap_leaves_of_an_exchange():
    assert exposed_seconds(10, 8, 0.5) == 6
    assert exposed_seconds(10, 80, 0.5) == 0


def test_what_waiting_for_the_slowest_takes():
    assert_allclose(waiting(0.02, [1, 2, 8]), [1, 1.02, 1.06])


def test_the_energy_of_a_run():
    # 2 GPUs of 100 W: 10 s at half, 10 s at a tenth, 20 s of 50 W of host: 1600 J each; times 1.5.
    assert_allclose(energy_joules(10, 20, 2, 100, 0.5, 50, 0.1, 1.5), 4800)


# --- dynamic programming -----------------------------------------------------------------------

CHIP = Chip(sm_clocks_s=1e9, half2_lanes=128.0, has_dpx=True, bandwidth_bytes_s=1e12)
SHARES = DynamicTerms(issue_share=0.5, dpx_share=0.8, bandwidth_share=0.5)


def test_instructions_of_a_cell():
    assert instructions_per_cell("smith-waterman", "int32", [False, True]).tolist() == [10, 5.5]
    # Two cells an instruction: emulated 41.5 for a pair, on packed lanes 10, fused 5.5.
    found = instructions_per_cell("smith-waterman", "int16x2", [False, False, True], [0, 1, 1])
    assert found.tolist() == [20.75, 5, 2.75]
    # Half precision: only 6 maxima of a pair run on the integer units.
    assert instructions_per_cell("smith-waterman", "half2", False) == 3


def test_cells_a_second():
    # Floyd-Warshall, fused to 1 instruction: 64 lanes at 0.8 of 1e9.
    assert_allclose(cell_updates_s("floyd-warshall", "int32", CHIP, SHARES), 51.2e9)
    # Without DPX: 2 instructions at half.
    assert_allclose(cell_updates_s("floyd-warshall", "int32", CHIP, SHARES, dpx=False), 16e9)
    # 1e9 cells: issue (1 + 0.5) / 128 / 0.8; memory 0.03 bytes at half of 1e12.
    parts = dynamic_parts("floyd-warshall", "int32", CHIP, SHARES)
    assert_allclose(parts["issue"], 1.5 / 128 / 0.8)
    assert_allclose(parts["memory"], 6e-5)
    # Slow memory bounds: 1 byte a cell at half of 1e10.
    slow = Chip(sm_clocks_s=1e9, half2_lanes=128.0, has_dpx=True, bandwidth_bytes_s=1e10)
    assert_allclose(cell_updates_s("needleman-wunsch", "int32", slow, SHARES), 5e9)


def test_cells_in_half_precision():
    # Smith-Waterman: 3 maxima a cell over 64 lanes at half of 1e9.
    assert_allclose(cell_updates_s("smith-waterman", "half2", CHIP, SHARES, dpx=False), 32e9 / 3)
    # Viterbi where 64 lanes add: 4.5 additions rule over 2.5 maxima; issue (2.5 + 1 + 4.5) / 128.
    ada = Chip(sm_clocks_s=1e9, half2_lanes=64.0, has_dpx=False, bandwidth_bytes_s=1e12)
    parts = dynamic_parts("viterbi", "half2", ada, SHARES, dpx=False)
    assert_allclose(parts["units"], 4.5 / 64 / 0.5)
    assert_allclose(parts["issue"], 8 / 128 / 0.5)


# --- from the catalogue ------------------------------------------------------------------------


def test_a_gpu_of_the_catalogue_as_a_machine():
    # A100: 108 SMs at 1410 MHz; 64 integer operations and 36 bytes of L2 a clock; 64 GB/s of PCIe
    # both ways, 87 % reached in one.
    found = machine(gpu("A100"))
    clocks = 108 * 1.41e9
    assert_allclose(found.rates[[0, 2, 5]], [9.7e12, 19.5e12, 64 * clocks])
    assert_allclose(found.l2_bytes_s, 36 * clocks)
    # 18 pJ an FP64 operation of the Tensor Cores, 1.1 of 16 bit, twice that of TF32.
    assert_allclose(found.joules[[1, 3, 4]], [18e-12, 2.2e-12, 1.1e-12])
    assert_allclose([found.chip_w, found.clock_hz], [400, 1.41e9])
    assert_allclose(host_link_bytes_s(gpu("A100")), 0.87 * 32e9)
    # HPL on an H100: 66.9 TFLOP/s of 14.5 pJ would draw 970 of 700 W; 350 W on PCIe, 51.2 TFLOP/s.
    hpl = workload("HPL").work
    assert_allclose(power_share(hpl, machine(gpu("H100"))), 700 / 970, rtol=1e-3)
    assert_allclose(power_share(hpl, machine(gpu("H100 PCIe"))), 350 / 742.4, rtol=1e-3)
    # The processor of a superchip draws from its limit: the GPU has the 700 W of the module.
    assert_allclose(machine(gpu("GH200")).chip_w, 700)
    assert machine(gpu("RTX PRO 6000")).l2_bytes_s == 15 * 188 * 2.494e9
    # GH200: NVLink-C2C, 450 GB/s of which 82 % are reached.
    assert_allclose(host_link_bytes_s(gpu("GH200")), 0.82 * 450e9)
    assert_allclose(chip([gpu("A100")]).sm_clocks_s, [clocks])


def test_work_in_another_precision():
    # Lattice Boltzmann: 300 operations and 304 bytes in FP64; half the bytes in FP32; a quarter
    # where values are stored in 16 bit, with 800 integer operations for a packed format.
    lbm = workload("LBM")
    single = work_at(lbm, "fp32")
    assert (single.operations, single.memory_bytes) == (300, 152)
    assert single.shares.tolist() == [0, 0, 1, 0, 0, 0]
    packed = work_at(lbm, "FP32/FP16C")
    assert (packed.operations, packed.memory_bytes) == (1100, 76)
    assert_allclose(packed.shares, [0, 0, 300 / 1100, 0, 0, 800 / 1100])
    assert work_at(lbm, "mixed").memory_bytes == 304
    assert_allclose(lbm.intensity, 300 / 304)
