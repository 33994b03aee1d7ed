"""The `tensorrt_llm` backend: INT8 engines run by TensorRT-LLM's executor in leader mode, one GPU a rank.

rank 0                                                    rank 1 …
submit ─▶ LeaderSession ─▶ Executor ══ broadcasts ══▶ Executor (follower; blocks in shutdown)
              ▲  reader thread │  ══ all-reduces ══        │
          text stream ◀────────┘                           │
          rank watch  ══════════ heartbeats ═══════ main thread: signals, heartbeats

The executor's own communicators and ours never mix; MPI has to be initialised with THREAD_MULTIPLE, as mpi4py does.
"""
