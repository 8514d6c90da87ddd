"""Stage 6 of 6: chunks to chunks, and at last to the caller."""
