"""The commands, with their help."""

import json
from pathlib import Path
from typing import Any

import click

import skmhe
from skmhe.command_line.data import read, read_train_labels
from skmhe.command_line.errors import data_errors
from skmhe.command_line.evaluation import evaluated
from skmhe.command_line.files import STANDARD, check_folder, output
from skmhe.command_line.models import Model, Recipe, fit, parse_settings
from skmhe.command_line.notes import Notes
from skmhe.command_line.options import (
    DATA,
    MODEL,
    OF_LABELS,
    OF_SAMPLES,
    QUIET,
    READABLE,
    check_standard_input,
    in_format,
    several,
)
from skmhe.command_line.predictions import Predictions, as_json, as_text, names_for
from skmhe.command_line.reading import USED, Reading

FORMATS = tuple(USED)
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 88}
LABELED = FORMATS[:-1]


@click.group(context_settings=HELP)
@click.version_option(skmhe.__version__)
def cli() -> None:
    """Classification with thousands to millions of labels.

    Train a model, predict the best labels of samples with it, and evaluate it:

    \b
      $ skmhe train train.txt model.safetensors
      $ skmhe predict model.safetensors test.txt -k 3 --output best.tsv
      $ skmhe evaluate model.safetensors test.txt --train train.txt

    Data are features, in the format of the extreme classification repository (xmc)
    or in svmlight's, or texts, in CSV or JSON lines. Files that end in .gz, .bz2,
    .xz or .zst are decompressed, and - is standard input. Results go to standard
    output, and everything else to standard error. The exit code is 2 for a wrong
    command line, and 1 for wrong data.
    """  # noqa: D301


@cli.command(no_args_is_help=True)
@DATA
@click.argument(
    "model", type=click.Path(dir_okay=False, writable=True), callback=check_folder
)
@in_format(*LABELED)
@several(*OF_SAMPLES, *OF_LABELS)
@click.option(
    "--one-label/--any-number",
    default=None,
    help="Whether a sample has exactly one label or any number of them, whose "
    "probabilities are independent. By default, the data decide.",
)
@click.option(
    "--set",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    callback=parse_settings,
    help="Set a parameter of MHEClassifier and MHEMultiLabelClassifier or, after "
    "vectorizer__, of TfidfVectorizer. Values are JSON or else text.",
)
@QUIET
def train(
    data: str,
    model: str,
    one_label: bool | None,
    settings: dict[str, Any],
    quiet: bool,
    **reading: Any,
) -> None:
    """Train a model on DATA, and write it to the file MODEL.

    Texts become features by TfidfVectorizer, which is part of the model.

    \b
      $ skmhe train train.txt model.safetensors --set model=linear
      $ skmhe train tickets.csv tickets.safetensors --label team --set random_state=0
      $ skmhe train tagged.csv tagged.safetensors --label tags --separator ";"
      $ skmhe train posts.jsonl.gz posts.safetensors --text title --text body
    """  # noqa: D301
    recipe, notes = Recipe.of(settings), Notes(quiet)
    check_standard_input(data, reading["label_file"])
    samples = read(data, Reading(**reading))
    has_one = samples.has_one_label(one_label)
    kind = "one per sample" if has_one else "any number per sample"
    notes.say(f"{samples.described()}, {kind}")
    estimator = recipe.estimator(samples, multilabel=not has_one)
    with notes.timed("trained"), data_errors():
        fit(estimator, samples, has_one, shows_progress=not quiet)
    with data_errors():
        skmhe.io.save(estimator, model)
    notes.say(f"wrote {model}, {Path(model).stat().st_size:,} bytes")


@cli.command(no_args_is_help=True)
@MODEL
@DATA
@click.option(
    "-k",
    type=click.IntRange(min=1),
    help="Number of labels per sample. By default, 5, or all where there are fewer.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Leave out labels of a lower probability.",
)
@click.option(
    "--label-names",
    metavar="FILE",
    type=READABLE,
    help="File with a name per line for the labels 0, 1, ..., which are written in "
    "their place; or with a title per object of JSON.",
)
@in_format(*FORMATS)
@several(*OF_SAMPLES)
@click.option("--json", "in_json", is_flag=True, help="Write an object per sample.")
@click.option(
    "-o",
    "--output",
    "target",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    default=STANDARD,
    callback=check_folder,
    help="Where to write, compressed by its suffix. By default, standard output.",
)
@QUIET
def predict(
    model: str,
    data: str,
    k: int | None,
    threshold: float,
    label_names: str | None,
    in_json: bool,
    target: str,
    quiet: bool,
    **reading: Any,
) -> None:
    """Predict the best labels of the samples of DATA.

    There is a line for each sample, with its labels, best first, each followed by its
    probability. They are separated by tabs; a tab in a label is written as \\t, a line
    feed as \\n. DATA may have labels, which are not read, and texts may also be plain
    lines.

    \b
      $ skmhe predict model.safetensors test.txt -k 3 --output best.tsv
      $ echo "no wifi" | skmhe predict tickets.safetensors - --json
      $ gunzip -c posts.jsonl.gz | skmhe predict posts.safetensors - --text title
      $ skmhe predict posts.safetensors posts.jsonl.gz --text title --quiet | head -2
    """  # noqa: D301
    check_standard_input(data, label_names)
    notes, loaded = Notes(quiet), Model.load(model).checked()
    names = None if label_names is None else names_for(loaded, label_names)
    loaded.check_k(k or 1)
    samples = read(data, Reading(**reading, has_labels=False), **loaded.takes)
    show = as_json if in_json else as_text
    predictions = Predictions(loaded, k, threshold, show, names)
    done = f"predicted {samples.n_samples:,} samples"
    with notes.timed(done), data_errors(), output(target) as stream:
        for lines in predictions.lines(samples.X, samples.n_samples):
            stream.write(lines)


@cli.command(no_args_is_help=True)
@MODEL
@DATA
@click.option(
    "-k",
    "ks",
    type=click.IntRange(min=1),
    multiple=True,
    default=[1, 3, 5],
    show_default=True,
    help="Numbers of best labels for P@k and others; larger ones than the number of "
    "labels are left out.",
)
@click.option(
    "--train",
    "train_data",
    metavar="FILE",
    type=READABLE,
    help="Training data, for propensity-scored precision (PSP@k) and for values of "
    "frequent and rare labels. With --label-file, their label file.",
)
@in_format(*LABELED)
@several(*OF_SAMPLES, *OF_LABELS)
@click.option("--json", "in_json", is_flag=True, help="Write an object.")
@QUIET
def evaluate(
    model: str,
    data: str,
    ks: tuple[int, ...],
    train_data: str | None,
    in_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Compare what MODEL predicts with the labels of DATA.

    P@k, nDCG@k and R@k are of the k best labels, F1 is of those that are more probable
    than not; where samples have one label, of the best one.

    \b
      $ skmhe evaluate model.safetensors test.txt --train train.txt
      $ skmhe evaluate tickets.safetensors tickets.csv --label team -k 1 --json
    """  # noqa: D301
    check_standard_input(data, train_data, options["label_file"])
    notes, reading = Notes(quiet), Reading(**options)
    loaded = Model.load(model).checked()
    loaded.check_k(min(ks))
    samples = read(data, reading, **loaded.takes)
    notes.say(samples.described())
    train_labels = None
    if train_data is not None:
        train_labels = read_train_labels(train_data, reading)
    with notes.timed(f"evaluated {samples.n_samples:,} samples"), data_errors():
        table = evaluated(loaded, samples, ks, train_labels)
    click.echo(json.dumps(table, indent=2) if in_json else str(table))


@cli.command(no_args_is_help=True)
@MODEL
@click.option("--json", "in_json", is_flag=True, help="Write an object.")
def info(model: str, in_json: bool) -> None:
    """Tell what is in the file MODEL.

    Its arrays stay in the file, so that large models are told of quickly.

    \b
      $ skmhe info model.safetensors
      $ skmhe info model.safetensors --json
    """  # noqa: D301
    with data_errors():
        found = Model.load(model, mmap=True).describe()
    if in_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        if not isinstance(value, dict):
            click.echo(f"{name}: {value}")
            continue
        click.echo(f"{name}:")
        for inner, one in value.items():
            click.echo(f"  {inner}: {one}")
