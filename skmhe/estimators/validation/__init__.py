"""Validation: what users pass as samples, targets, weights and label features.

Every error about data is raised here.
"""
