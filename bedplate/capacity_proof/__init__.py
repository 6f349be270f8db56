"""The arithmetic of models on GPUs, held against a GPU: what it predicts is allocated, run and read back.

``python3 -m bedplate.capacity_proof`` needs a GPU, and of packages only PyTorch, nvidia-ml-py and PyYAML.
"""
