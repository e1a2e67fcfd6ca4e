"""Methods for a BilevelRL, one file each."""
