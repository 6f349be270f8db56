"""Stands in for a tokenizer: one number per character."""

import numpy as np
import triton_python_backend_utils as triton


class TritonPythonModel:
    """What the Python back end looks for."""

    def execute(self, requests: list) -> list:
        """One answer per request; requests that Triton batched have several rows."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: object) -> object:
        rows = triton.get_input_tensor_by_name(request, "text").as_numpy()
        codes = np.array([[ord(c) for c in row[0].decode()] for row in rows], dtype=np.int64)
        ids = triton.Tensor("input_ids", codes)
        return triton.InferenceResponse([ids, triton.Tensor("attention_mask", np.ones_like(codes))])
