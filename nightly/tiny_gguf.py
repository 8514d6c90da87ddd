"""A llama of random weights, small enough for any machine: half a megabyte, made in a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGUFWriter, TokenType

__all__ = ["write"]

_WIDTH, _LAYERS, _INNER, _HEADS, _CONTEXT = 64, 2, 128, 4, 2048
_SPECIAL = ("<unk>", "<s>", "</s>")
_WORDS = 61


def write(path: Path, *, seed: int = 0) -> None:
    """Write the model to `path`: the architecture and the keys are llama.cpp's for ``llama``."""
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_INNER)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    tokens = _vocabulary(writer)
    _weights(writer, tokens, np.random.default_rng(seed))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _vocabulary(writer: GGUFWriter) -> int:
    """Add a token for each byte, and a few words; return how many there are."""
    tokens = [*_SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += [f"\u2581word{number}" for number in range(_WORDS)]
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    kinds += [TokenType.BYTE] * 256 + [TokenType.NORMAL] * _WORDS
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    return len(tokens)


def _weights(writer: GGUFWriter, tokens: int, draw: np.random.Generator) -> None:
    def drawn(*shape: int) -> np.ndarray:
        return draw.normal(0, 0.05, shape).astype(np.float32)

    ones = np.ones(_WIDTH, np.float32)
    writer.add_tensor("token_embd.weight", drawn(tokens, _WIDTH))
    writer.add_tensor("output.weight", drawn(tokens, _WIDTH))
    writer.add_tensor("output_norm.weight", ones)
    for layer in range(_LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", drawn(_WIDTH, _WIDTH))
        writer.add_tensor(f"blk.{layer}.ffn_gate.weight", drawn(_INNER, _WIDTH))
        writer.add_tensor(f"blk.{layer}.ffn_up.weight", drawn(_INNER, _WIDTH))
        writer.add_tensor(f"blk.{layer}.ffn_down.weight", drawn(_WIDTH, _INNER))
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", ones)
        writer.add_tensor(f"blk.{layer}.ffn_norm.weight", ones)
