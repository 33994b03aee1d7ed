"""Which part of a model a rank holds."""

from typing import Any


class Mapping:
    def __init__(
        self,
        world_size: int = 1,
        rank: int = 0,
        gpus_per_node: int = 8,
        *,
        cp_size: int = 1,
        tp_size: int = -1,
        pp_size: int = 1,
        **others: Any,
    ) -> None:
        tp_size = world_size if tp_size == -1 else tp_size
        if tp_size * pp_size * cp_size != world_size:
            raise ValueError(f"world_size must equal to tp_size * pp_size * cp_size, got {world_size} != {tp_size}")
        if rank >= world_size:
            raise ValueError(f"rank {rank} is out of {world_size}")
        self.world_size, self.rank, self.gpus_per_node, self.tp_size = world_size, rank, gpus_per_node, tp_size
        self.pp_size, self.cp_size = pp_size, cp_size

    def to_dict(self) -> dict[str, int]:
        """Without the rank."""
        return {name: value for name, value in vars(self).items() if name != "rank"}
