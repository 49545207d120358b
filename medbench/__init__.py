"""Data, benchmarks and pluggable trainers for reinforcement learning of medical models."""

__version__ = "0.1.0"
