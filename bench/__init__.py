"""The benchmarks: how fast maild is, section by section. `make bench` runs them.

They are programs, and no part of the tests' verdict: what they measure depends on the machine.
`docs/benchmarks.md` tells the method.
"""
