"""Runs step plans on one rank's GPU: the runner that the torch backend uses with device "cuda"."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from commentary_llm.generation.peers import Peers, info_of
from commentary_llm.generation.torch.config import ModelConfig
from commentary_llm.generation.torch.cuda.decode import DecodeStep, DeviceModel, RawMatrix, step_parts
from commentary_llm.generation.torch.cuda.draws import DeviceDraws, DeviceOutcome, DrawnRow, Staging
from commentary_llm.generation.torch.cuda.library import load_kernels
from commentary_llm.generation.torch.cuda.prefill import Exchange, PrefillPass, logits_bytes, parts_bytes
from commentary_llm.generation.torch.cuda.region import EMPTY, PeerRegion
from commentary_llm.generation.torch.protocol import DRAWN, Span, StepPlan
from commentary_llm.generation.torch.weights import ShardWeights


class CudaRunner:
    """Queues plans on a stream of its own: prompts through the prefill pass, decode steps through one kernel each.

    Ranks exchange activations and logits through memory that all their GPUs reach, and draw the same tokens; the host
    is asked for nothing between the steps of a plan. Holds the packed weights and the KV cache (layers, slots,
    kv_heads, 2, max_context, head_dim) float16.
    """

    draws_on_device = True

    def __init__(
        self,
        model: ModelConfig,
        weights: ShardWeights[RawMatrix],
        slots: int,
        max_context: int,
        max_step_tokens: int,
        device: torch.device,
        peers: Peers | None,
    ) -> None:
        """All ranks call it. Packs the weights (they are held twice for a moment).

        Raises ConfigError for a GPU or model that it is not for, or GPUs that cannot reach each other.
        """
        local, info = model.local, info_of(peers)
        rank, ranks = info.rank, info.size
        self._device, self._vocabulary = device, model.shape.vocabulary
        torch.cuda.set_device(device)
        kernels = load_kernels(torch.cuda.get_device_capability(device))
        packed = DeviceModel(model, weights, max_context)
        shape = (local.layers, slots, local.kv_heads, 2, max_context, local.head_dim)
        self._cache = torch.zeros(shape, dtype=torch.float16, device=device)
        width = ranks * local.vocabulary
        self._draws = DeviceDraws(kernels, slots, model.shape.vocabulary, width, max_context, device)
        region = PeerRegion(
            kernels,
            {
                **step_parts(model, ranks),
                "prefill_parts": (parts_bytes(model, ranks, max_step_tokens), EMPTY),
                "prefill_arrivals": (4, 0),
                "prefill_logits": (logits_bytes(model, ranks), EMPTY),
            },
        )
        if peers is not None:
            region.meet(peers)
        self._step = DecodeStep(kernels, model, packed, self._cache, self._draws.tokens, region, rank, ranks)
        parts, arrivals, logits = (tuple(region.addresses(f"prefill_{n}")) for n in ("parts", "arrivals", "logits"))
        exchange = Exchange(rank, ranks, parts, arrivals, logits)
        self._prefill = PrefillPass(model, packed, self._cache, exchange, max_step_tokens)
        self._step_logits, self._prefill_logits = region.own("step_logits"), region.own("prefill_logits")
        self._staging = Staging(max_step_tokens, device)
        self._stream = torch.cuda.Stream(device)
        torch.cuda.synchronize(device)
        self._held = packed, region

    @property
    def cache_bytes(self) -> int:
        return self._cache.numel() * self._cache.element_size()

    @torch.inference_mode()
    def run(self, plan: StepPlan) -> DeviceOutcome:
        """See `Runner.run`. Raises EngineError when CUDA refuses a launch."""
        with torch.cuda.stream(self._stream):
            for sampling in plan.samplings:
                self._draws.begin(sampling)
            for copy in plan.copies:
                self._cache[:, copy.target, :, :, : copy.length] = self._cache[:, copy.source, :, :, : copy.length]
            decoding, prompts, ids = _split(plan)
            repeats = []
            for repeat in range(plan.repeats):
                launched = self._decode(decoding, repeat)
                if prompts and not repeat:
                    launched += self._read_prompts(prompts, ids)
                event = torch.cuda.Event()
                event.record(self._stream)
                repeats.append((event, _in_order(plan.spans, launched)))
        return DeviceOutcome(self._draws, repeats)

    def _decode(self, spans: Sequence[Span], repeat: int) -> list[tuple[Span, list[DrawnRow]]]:
        most, launched = self._step.sizes[-1], []
        for first in range(0, len(spans), most):
            some = spans[first : first + most]
            slots = [span.slot for span in some]
            self._step.launch(slots, [span.start + repeat for span in some], self._stream.cuda_stream)
            rows = self._draws.launch(self._step_logits, range(len(some)), slots, True)
            launched.append((some[0], rows))
        return launched

    def _read_prompts(self, spans: Sequence[Span], ids: Sequence[int]) -> list[tuple[Span, list[DrawnRow]]]:
        ends, end = [], 0
        for span in spans:
            end += span.count
            ends.append(end - 1)
        drawing = [number for number, span in enumerate(spans) if span.draws]
        requests = [(span.slot, span.start, span.count) for span in spans]
        self._prefill.run(self._staging.copy(ids), requests, [ends[number] for number in drawing])
        launched = []
        for row, number in enumerate(drawing):
            slots = spans[number].draws
            launched.append((spans[number], self._draws.launch(self._prefill_logits, [row] * len(slots), slots, False)))
        return launched


def _split(plan: StepPlan) -> tuple[list[Span], list[Span], list[int]]:
    """Spans whose token was drawn on the GPU, the others, and the others' token ids."""
    decoding: list[Span] = []
    prompts: list[Span] = []
    ids: list[int] = []
    at = 0
    for span in plan.spans:
        tokens = plan.token_ids[at : at + span.count]
        at += span.count
        if tokens == (DRAWN,):
            decoding.append(span)
        else:
            prompts.append(span)
            ids += tokens
    return decoding, prompts, ids


def _in_order(spans: Sequence[Span], launched: Sequence[tuple[Span, list[DrawnRow]]]) -> list[DrawnRow]:
    """Launches in the order of the plan's spans; decoding ones come in runs of neighbours."""
    place = {span: number for number, span in enumerate(spans)}
    return [row for _, rows in sorted(launched, key=lambda entry: place[entry[0]]) for row in rows]
