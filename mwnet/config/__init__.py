"""Options: their schema, recipes, checks and flags. Imports no torch."""
