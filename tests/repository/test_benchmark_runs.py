"""How the benchmarks read the names of runs."""

import argparse

import pytest
from benchmark_scripts import load_script

accuracy, rivals = load_script("bench_accuracy"), load_script("bench_rivals")
results = load_script("results")


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
