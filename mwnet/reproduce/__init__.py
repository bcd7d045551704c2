"""Reproduce papers: tables of runs beside the printed ones, and claims that are checked."""
