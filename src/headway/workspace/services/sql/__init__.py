"""SQL 2.0: warehouses, which are clusters, and statements on them."""
