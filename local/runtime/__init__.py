"""Runs the system's functions on one machine as Lambda would; `system.FunctionRuntime` is the whole of it.

Nothing is imported here: the child side of an execution environment is a module of this package and must
start light.
"""
