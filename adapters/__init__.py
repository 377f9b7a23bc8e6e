"""How organisations answer: the contract, the transport, and one module or package for each kind of source.

Imports neither `broker` nor `policies`: knowing this folder is enough to write an adapter.
"""
