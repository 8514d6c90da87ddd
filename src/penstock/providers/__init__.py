"""Assembling the stages for one endpoint: dialect, encoder, transport and decoder.

Vendors are data here (`catalogue`); the road itself is the same for all of them (`http`).
"""
