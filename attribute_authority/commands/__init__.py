"""The commands of `attribute-authority`, a file each."""
