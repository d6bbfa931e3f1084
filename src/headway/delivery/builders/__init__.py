"""How artifacts are built: commands, wheels, plain Scala, notebooks."""
