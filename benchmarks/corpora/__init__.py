"""The data sets that make_data.py builds: where they come from, and their form."""
