"""The search for a robust loss: Taylor polynomials, CMA-ES, a population trained at once.

Source: Gao, Gouk and Hospedales, "Searching for robustness", 2021, Algorithm 1.
"""
