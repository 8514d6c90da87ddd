"""Penstock: LLM conversations through a fixed-size buffer, to any provider and back."""
