"""Unity Catalog 2.1: a small real catalog, whose schemas and tables are those that Spark sees."""
