"""Compare skmhe's default and fast setting with other libraries, from their figures.

bench_rivals.py prints the comparison, and tables.py makes a table of it from the result
files: nothing is measured for it. For each data set:

- by how much the default is ahead of the best other library in each measure, where each
  measure has its own best library;
- the fastest library to fit among those with 98% of the P@1 of the best one, and the
  time that the default takes to fit, divided by its time;
- `model="linear"`: its time to fit divided by that of PECOS, and by how much its P@1 is
  ahead of PECOS and of LinearSVC.
"""

import numpy as np

DEFAULT, FAST = "skmhe", 'skmhe:{"model": "linear"}'
# Measures in which the default is to be at least as good as each other library.
MEASURES = ("P@1", "P@3", "P@5", "PSP@5")
SHARE_OF_BEST = 0.98
MEAN = "mean"


def is_rival(name):
    return not name.startswith("skmhe")


def fastest_of_the_best(rivals):
    """Return the library that is fitted first, of those nearly as good as the best."""
    bound = SHARE_OF_BEST * max(row["P@1"] for row in rivals.values())
    good = {name: row for name, row in rivals.items() if row["P@1"] >= bound}
    return min(good, key=lambda name: good[name]["fit_s"])


def comparison(rows):
    """Return the figures of one data set, and the name of the fastest good library.

    None if the default or all other libraries are missing.
    """
    rivals = {name: row for name, row in rows.items() if is_rival(name)}
    if DEFAULT not in rows or not rivals:
        return None
    default, fast, fastest = rows[DEFAULT], rows.get(FAST), fastest_of_the_best(rivals)
    found = {
        f"{measure}_ahead": default[measure]
        - max(row[measure] for row in rivals.values())
        for measure in MEASURES
    }
    found["fit_to_fastest"] = default["fit_s"] / rivals[fastest]["fit_s"]
    if fast is not None and "pecos" in rivals:
        found["linear_to_pecos"] = fast["fit_s"] / rivals["pecos"]["fit_s"]
        found["linear_ahead_pecos"] = fast["P@1"] - rivals["pecos"]["P@1"]
    if fast is not None and "linearsvc" in rivals:
        found["linear_ahead_svc"] = fast["P@1"] - rivals["linearsvc"]["P@1"]
    return fastest, found


def compared(tables):
    """Return rows of figures by data set and fastest good library; then the means.

    Parameters
    ----------
    tables : dict of dict
        The rows of bench_rivals.py, by data set.
    """
    result = {}
    for data, rows in tables.items():
        if (found := comparison(rows)) is not None:
            result[data] = {found[0]: found[1]}
    if len(result) > 1:
        figures = [row for rows in result.values() for row in rows.values()]
        names = dict.fromkeys(name for row in figures for name in row)
        result[MEAN] = {
            "": {
                name: float(np.mean([row[name] for row in figures if name in row]))
                for name in names
            }
        }
    return result
