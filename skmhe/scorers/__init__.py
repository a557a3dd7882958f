"""Scorers of labels, their combination, and the fitted model."""
