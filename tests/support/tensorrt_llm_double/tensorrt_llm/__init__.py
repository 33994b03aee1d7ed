"""A scripted double of TensorRT-LLM 1.2.1 for tests: the names this project uses, with the rules of the real ones.

It knows no CUDA. What the real library forbids, it refuses and notes in `double.rules`, so that a test fails even
where the caller would catch the error. What it "generates" comes from a script that the double's builder wrote into
the engine files (`double.script`).
"""

__version__ = "1.2.1"
