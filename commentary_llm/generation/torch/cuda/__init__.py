"""The torch backend's steps on an NVIDIA GPU: one persistent kernel each (`kernels/`)."""
