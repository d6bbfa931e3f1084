"""The `headway` command: one module per command group."""
