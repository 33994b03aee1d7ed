"""What nvidia-smi prints on machines of several kinds (form as printed by drivers 535 to 580)."""

H200_QUERY = """\
0, GPU-4a1c6e7e-0d3e-4f7a-9a55-0c1de0a9b001, NVIDIA H200, 580.95.05, 143771, 9.0
1, GPU-7be3a0c2-56a2-43b8-8d4e-5f0f5f5c1002, NVIDIA H200, 580.95.05, 143771, 9.0
"""
# The head is underlined, also into a pipe; network cards have columns and rows of their own.
H200_TOPOLOGY = """\
\t\x1b[4mGPU0\tGPU1\tNIC0\tNIC1\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\x1b[0m
GPU0\t X \tNV18\tPIX\tSYS\t0-47,96-143\t0\t\tN/A
GPU1\tNV18\t X \tSYS\tPIX\t48-95,144-191\t1\t\tN/A
NIC0\tPIX\tSYS\t X \tSYS\t\t\t\t
NIC1\tSYS\tPIX\tSYS\t X \t\t\t\t

Legend:

  X    = Self
  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes (e.g., QPI/UPI)
  PHB  = Connection traversing PCIe as well as a PCIe Host Bridge (typically the CPU)
  NV#  = Connection traversing a bonded set of # NVLinks

NIC Legend:

  NIC0: mlx5_0
  NIC1: mlx5_1
"""
H200_PEERS = """\
 \tGPU0\tGPU1\t
 GPU0\tX\tOK\t
 GPU1\tOK\tX\t

Legend:

  X    = Self
  OK   = Status Ok
  CNS  = Chipset not supported
"""
_LINKS = "".join(f"\t Link {link}: 26.562 GB/s\n" for link in range(18))
H200_NVLINK = (
    "GPU 0: NVIDIA H200 (UUID: GPU-4a1c6e7e-0d3e-4f7a-9a55-0c1de0a9b001)\n"
    + _LINKS
    + "GPU 1: NVIDIA H200 (UUID: GPU-7be3a0c2-56a2-43b8-8d4e-5f0f5f5c1002)\n"
    + _LINKS
)
HALF_NVLINK = H200_NVLINK.replace("Link 17: 26.562 GB/s", "Link 17: <inactive>", 1)

# Two pairs of cards bridged by NVLink, the pairs in different sockets; no peer access across.
A6000_QUERY = "".join(
    f"{i}, GPU-0000000{i}-aaaa-bbbb-cccc-dddddddddddd, NVIDIA RTX A6000, 535.183.01, 49140, 8.6\n" for i in range(4)
)
A6000_TOPOLOGY = """\
\tGPU0\tGPU1\tGPU2\tGPU3\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID
GPU0\t X \tNV4\tSYS\tSYS\t0-31\t0\t\tN/A
GPU1\tNV4\t X \tSYS\tSYS\t0-31\t0\t\tN/A
GPU2\tSYS\tSYS\t X \tNV4\t32-63\t1\t\tN/A
GPU3\tSYS\tSYS\tNV4\t X \t32-63\t1\t\tN/A
"""
A6000_PEERS = """\
 \tGPU0\tGPU1\tGPU2\tGPU3\t
 GPU0\tX\tOK\tCNS\tCNS\t
 GPU1\tOK\tX\tCNS\tCNS\t
 GPU2\tCNS\tCNS\tX\tOK\t
 GPU3\tCNS\tCNS\tOK\tX\t
"""

# Consumer cards in one machine: no NVLink at all.
L40S_QUERY = """\
0, GPU-11111111-aaaa-bbbb-cccc-dddddddddddd, NVIDIA L40S, 550.54.15, 46068, 8.9
1, GPU-22222222-aaaa-bbbb-cccc-dddddddddddd, NVIDIA L40S, 550.54.15, 46068, 8.9
"""
PHB_TOPOLOGY = """\
\tGPU0\tGPU1\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID
GPU0\t X \tPHB\t0-63\t0\t\tN/A
GPU1\tPHB\t X \t0-63\t0\t\tN/A
"""
PIX_TOPOLOGY = PHB_TOPOLOGY.replace("PHB", "PIX")
NO_LINKS = "GPU 0: NVIDIA L40S (UUID: GPU-11111111)\nGPU 1: NVIDIA L40S (UUID: GPU-22222222)\n"

SINGLE_QUERY = "0, GPU-33333333-aaaa-bbbb-cccc-dddddddddddd, NVIDIA GeForce RTX 4090, 580.65.06, 24564, 8.9\n"
SINGLE_TOPOLOGY = """\
\tGPU0\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID
GPU0\t X \t0-15\tN/A\t\tN/A
"""
# A system on a chip does not tell its memory.
SPARK_QUERY = "0, GPU-44444444-aaaa-bbbb-cccc-dddddddddddd, NVIDIA GB10, 580.95.05, [N/A], 12.1\n"
