"""Arithmetic of models on GPUs: what fits where, and what is missing. Pure; shared by every program that
plans."""
