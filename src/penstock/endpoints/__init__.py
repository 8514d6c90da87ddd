"""What is not chat, one module each, over the same providers.

========= ==========================================================================
module    what it offers
========= ==========================================================================
responses answers that a provider makes in the background: asked for again, stopped
========= ==========================================================================
"""
