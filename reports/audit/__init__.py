"""An audit: two environments that differ in versions, measured on the same input bits and held against each other."""
