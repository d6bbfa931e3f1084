"""The only rooms that touch the outside: git, object store, subprocess, clock, Java, HTTP."""
