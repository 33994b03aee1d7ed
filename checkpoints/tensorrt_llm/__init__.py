"""TensorRT-LLM engines of a LLaMA-family model, one file a rank, by the library's own Python route.

imported model ──▶ conversion copy ──▶ INT8 on this GPU ──▶ TensorRT builder ──▶ rank{r}.engine + manifest
                   (source)            (convert, W8A16 or SmoothQuant)            (build, one process a rank)
"""
