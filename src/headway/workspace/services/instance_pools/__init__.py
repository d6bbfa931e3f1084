"""Instance pools: drivers that stand ready, so that a cluster on a pool starts at once."""
