"""The environments that TextGym ships, one file each; `specs` is the table of them."""
