"""The `torch` backend: a LLaMA-family model, INT8 weight-only, tensor parallel over MPI ranks.

rank 0                                              rank 1 …
submit ─▶ Scheduler ─▶ StepPlan ══ broadcast ══▶ StepPlan
                          │                            │
                     StepRunner ══ all-reduces ══ StepRunner
                          │ logits (gathered)
              Sampler ─▶ text stream ─▶ handle
"""
