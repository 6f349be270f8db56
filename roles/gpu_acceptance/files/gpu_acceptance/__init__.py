"""Runs on the GPU host: reads what NVML, PCI and the kernel log say, measures, and writes one JSON document.

``python3 -m gpu_acceptance facts|run|stop|capture``. Needs ``nvidia-ml-py``; measuring needs PyTorch with
CUDA. Python 3.11 and later. What the figures mean is decided on the controller (bedplate.acceptance).
"""
