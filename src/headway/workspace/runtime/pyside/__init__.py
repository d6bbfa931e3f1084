"""The Python side of a driver: a process that forks one child per Python run, attached to the driver's JVM.

It runs under the runtime's own Python, where Headway is not installed: standard library and pyspark only, and
relative imports within this package.
"""
