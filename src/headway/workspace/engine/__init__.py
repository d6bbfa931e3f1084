"""The jobs engine: takes runs from PENDING to their end on real Spark."""
