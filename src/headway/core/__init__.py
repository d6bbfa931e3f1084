"""Values and rules of Headway. Pure: no I/O, no clock, no environment."""
