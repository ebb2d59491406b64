"""The package, and the stack that is made from it."""
