"""One script for each question; ``python -m benchmarks`` runs them all, ``--smoke`` quickly."""
