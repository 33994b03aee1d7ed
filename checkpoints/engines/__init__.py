"""TensorRT engines of the speech networks: from our ONNX graphs to engine files that a GPU rank loads.

imported ONNX ──▶ fixed shapes ──▶ INT8 Q/DQ (calibrated) ──▶ FP16 ──▶ TensorRT builder ──▶ engines + manifest
                  (voice, whisper)  (quantize)                 (half)    (builder)           (artifact)
"""
