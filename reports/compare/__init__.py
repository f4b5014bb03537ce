"""Two runs held against each other: what became of each cell, how much of it is chance, and what is signed off."""
