"""The client of Social Publisher's public API: the command `publisher`, and the same for agents.

It knows the system by its HTTP API alone and imports nothing else of this repository.
"""

__version__ = "0.1.0"
