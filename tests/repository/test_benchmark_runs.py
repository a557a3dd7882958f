"""How the benchmarks read the names of runs, and compare what was measured."""

import argparse

import numpy as np
import pytest
import scipy.sparse as sp
from benchmark_scripts import load_script

accuracy, rivals = load_script("bench_accuracy"), load_script("bench_rivals")
results, comparison = load_script("results"), load_script("comparison")


def test_parameters_follow_the_model():
    run = rivals.parse_run('skmhe:{"strategy": "cascade", "strategy__beam_width": 20}')
    assert run.model == "skmhe"
    assert run.parameters == {"strategy": "cascade", "strategy__beam_width": 20}
    assert run.source == results.REPOSITORY


def test_other_libraries_have_no_checkout():
    assert rivals.parse_run("pecos") == rivals.Run("pecos", "pecos", {}, None)


def test_another_checkout_is_called_by_its_commit_or_folder(tmp_path, monkeypatch):
    (tmp_path / "skmhe").mkdir()
    (tmp_path / "skmhe" / "__init__.py").touch()
    monkeypatch.setattr(rivals, "commit", lambda folder: None)
    run = rivals.parse_run(f'skmhe@{tmp_path}:{{"model": "linear"}}')
    assert run.name == f'skmhe@{tmp_path.name}:{{"model": "linear"}}'
    assert run.source == tmp_path.resolve()
    monkeypatch.setattr(rivals, "commit", lambda folder: "0123abc")
    assert rivals.parse_run(f"skmhe@{tmp_path}:{{}}").name == "skmhe@0123abc"


@pytest.mark.parametrize("text", ["skmhe@nowhere", "skmhe:linear", "skmhe:"])
def test_runs_of_another_form(text):
    with pytest.raises(argparse.ArgumentTypeError):
        rivals.parse_run(text)


def test_parameters_by_name_and_value():
    found = accuracy.parse_parameters("n_heads=3;dtype='float32'")
    assert found == {"n_heads": 3, "dtype": "float32"}
    assert accuracy.parse_parameters("") == {}


# ------------------------------------------------- skmhe compared with other libraries
def figures(p_at_1, fit_s, p_at_5=10.0):
    return {"P@1": p_at_1, "P@3": 20.0, "P@5": p_at_5, "PSP@5": 30.0, "fit_s": fit_s}


def test_models_are_skipped_where_there_are_too_many_labels(capsys):
    runs = [rivals.parse_run(name) for name in ("linearsvc", "pecos")]
    few, many = np.array([1999]), np.array([2000])
    assert rivals.runnable(runs, few, "few") == runs
    assert rivals.runnable(runs, many, "many") == runs[1:]
    assert rivals.runnable(runs, sp.csr_matrix((1, 2001)), "tags") == runs[1:]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "  many linearsvc: skipped (2,001 labels, more than 2,000)"
    assert len(lines) == 2


def test_comparison_is_with_the_best_of_each_measure_and_the_fastest_of_the_good():
    rows = {
        "skmhe": figures(60.0, 30.0, 11.0),
        'skmhe:{"model": "linear"}': figures(58.5, 6.0),
        "pecos": figures(58.8, 5.0, p_at_5=12.0),  # 98% of the best: good
        "omikuji": figures(60.0, 20.0),
        "linearsvc": figures(58.7, 1.0),  # fastest, and not good enough
    }
    fastest, found = comparison.comparison(rows)
    assert fastest == "pecos"
    expected = {"P@1_ahead": 0.0, "P@3_ahead": 0.0, "P@5_ahead": -1.0}
    expected |= {"PSP@5_ahead": 0.0, "fit_to_fastest": 6.0, "linear_to_pecos": 1.2}
    expected |= {"linear_ahead_pecos": -0.3, "linear_ahead_svc": -0.2}
    assert found == pytest.approx(expected)
    assert comparison.comparison({"skmhe": rows["skmhe"]}) is None
    assert comparison.comparison({"pecos": rows["pecos"]}) is None


def test_means_are_over_the_data_sets_that_have_a_figure():
    one = {"skmhe": figures(60.0, 4.0), "omikuji": figures(59.0, 2.0)}
    two = {"skmhe": figures(50.0, 6.0), "pecos": figures(47.0, 1.0)}
    two['skmhe:{"model": "linear"}'] = figures(48.0, 0.5)
    found = comparison.compared({"one": one, "two": two, "three": {}})
    assert list(found) == ["one", "two", "mean"]
    assert found["mean"][""]["P@1_ahead"] == 2.0
    assert found["mean"][""]["fit_to_fastest"] == 4.0
    assert found["mean"][""]["linear_to_pecos"] == 0.5
