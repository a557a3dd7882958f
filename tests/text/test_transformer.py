"""The module: features that do not depend on padding, layers, and how it is loaded."""

import json
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from tiny_models import TOKENS, change_config, save_bert
from torch.utils.checkpoint import checkpoint
from transformers import BertConfig, RobertaConfig, RobertaModel

from skmhe.scorers.parameter_names import frozen_names, rates_by_name
from skmhe.text import Tokenizer
from skmhe.text.loading import load_tokenizer
from skmhe.text.packing import pack
from skmhe.text.transformer import (
    LayerRates,
    Transformer,
    embedding_names,
    groups_of_length,
    layers_above,
    load_transformer,
)

EMPTY = np.zeros((1, 8), int)
X = torch.from_numpy(np.concatenate([TOKENS, EMPTY, TOKENS[::-1]]))


def one_by_one(folder, tokens, pooling):
    """Return the features of each text alone, without padding."""
    model = transformers.BertModel.from_pretrained(folder).eval()
    rows = []
    for row in tokens:
        own = row[row != 0][None]
        hidden = model(own).last_hidden_state[0] if own.numel() else torch.zeros(1, 32)
        rows.append(hidden[0] if pooling == "cls" else hidden.mean(0))
    return torch.stack(rows)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@torch.no_grad()
def test_features_are_those_of_texts_without_padding(folder, pooling):
    module = load_transformer(folder, pooling).eval()
    expected = one_by_one(folder, X, pooling)
    close = {"atol": 1e-5, "rtol": 0}
    torch.testing.assert_close(module(X), expected, **close)
    padded = torch.nn.functional.pad(X, (0, 6))
    torch.testing.assert_close(module(padded), expected, **close)
    torch.testing.assert_close(module(X[2:6]), expected[2:6], **close)
    assert module(X[:0]).shape == (0, 32)
    assert not module(X[4:5]).any()  # no token at all


@torch.no_grad()
def test_a_layer_on_top_leaves_texts_without_tokens_at_0(folder):
    module = load_transformer(folder, out_features=5).eval()
    features = module(X)
    assert features.shape == (9, 5)
    assert not features[4].any() and features[:4].any(1).all()
    expected = module.bottleneck(one_by_one(folder, X[:4], "mean"))
    torch.testing.assert_close(features[:4], expected, atol=1e-5, rtol=0)


def test_few_of_the_computed_positions_are_padding(folder):
    module, n_positions = load_transformer(folder).eval(), 0

    def count(model, args, inputs):
        nonlocal n_positions
        n_positions += inputs["input_ids"].numel()

    module.model.register_forward_pre_hook(count, with_kwargs=True)
    lengths = np.random.RandomState(0).randint(1, 20, size=400)
    tokens = np.where(np.arange(20) < lengths[:, None], 5, 0)
    with torch.no_grad():
        module(torch.from_numpy(tokens))
    assert lengths.sum() <= n_positions < 1.05 * lengths.sum()


@pytest.mark.parametrize(
    "lengths", [[1], [40] * 9, [0, 3, 0, 70, 1], [64], [65, 64, 2], [5, 60] * 7]
)
def test_texts_in_rows(lengths):
    lengths = np.array(lengths)
    rows, starts, width = pack(lengths)
    taken = np.zeros((len(lengths), width), int)
    for length, row, start in zip(lengths, rows, starts, strict=True):
        assert (row == -1) == (length == 0)
        if length:
            taken[row, start : start + length] += 1
            assert start + length <= width
    assert taken.max() == 1 and taken.sum() == lengths.sum()
    used = taken.any(1)
    assert used[: rows.max() + 1].all()
    if len(set(lengths)) == 1 and width % lengths[0] == 0:
        assert taken[: len(lengths) * lengths[0] // width].all()


def test_positions_start_anew_where_a_model_counts_them_otherwise(tmp_path):
    config = RobertaConfig(
        vocab_size=30,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=20,
        pad_token_id=1,
    )
    torch.manual_seed(0)
    module = Transformer(RobertaModel(config), pad_id=1).eval()
    assert module.first_position == 2
    tokens = torch.tensor([[5, 6, 7, 1], [8, 9, 1, 1], [10, 1, 1, 1]])
    with torch.no_grad():
        alone = torch.cat(
            [module.model(row[row != 1][None])[0].mean(1) for row in tokens]
        )
        torch.testing.assert_close(module(tokens), alone, atol=1e-5, rtol=0)


SMALL = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 1}
SMALL |= {"num_attention_heads": 2, "intermediate_size": 16}


def test_models_whose_texts_do_not_share_rows_attend_as_before():
    config = transformers.GPT2Config(
        vocab_size=30, n_embd=16, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=2
    )
    module = Transformer(transformers.GPT2Model(config), pad_id=0).eval()
    assert module.first_position is None
    assert module.model.config._attn_implementation == "sdpa"


@torch.no_grad()
@pytest.mark.parametrize("kind", ["BertConfig", "MPNetConfig"])
def test_ways_to_attend(kind, monkeypatch, caplog):
    config = getattr(transformers, kind)(**SMALL)
    can_change = kind == "BertConfig"
    with caplog.at_level("WARNING", "transformers"):
        monkeypatch.setattr(transformers.utils.logging.get_logger(), "propagate", True)
        model = transformers.AutoModel.from_config(config)
        module = Transformer(model, config.pad_token_id).eval()
        assert module.first_position is not None
        for n_tokens, expected in [(300, "sdpa"), (40, "eager")]:
            module(torch.full((2, n_tokens), 7))
            if can_change:
                assert model.config._attn_implementation == expected
            else:  # of which transformers would warn each time
                assert model.config._attn_implementation == "eager"
    assert not caplog.records


class Neighbors(torch.nn.Module):
    """A model whose tokens look at those next to them, whatever attends to what."""

    def __init__(self):
        super().__init__()
        self.config = BertConfig(hidden_size=4)
        self.table = torch.nn.Embedding(30, 4)

    def get_input_embeddings(self):
        return self.table

    def forward(
        self, input_ids=None, position_ids=None, attention_mask=None, inputs_embeds=None
    ):
        hidden = self.table(input_ids) if inputs_embeds is None else inputs_embeds
        if attention_mask.ndim == 2:
            hidden = hidden * attention_mask[:, :, None]
        before = torch.nn.functional.pad(hidden, (0, 0, 1, 0))[:, :-1]
        return SimpleNamespace(last_hidden_state=hidden + before)

    def set_attn_implementation(self, name):
        assert name in ("eager", "sdpa")


def test_models_whose_texts_cannot_share_rows_get_them_by_length():
    module = Transformer(Neighbors(), pad_id=0).eval()
    assert module.first_position is None
    tokens = torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0], [11, 12, 13, 0]])
    with torch.no_grad():
        expected = torch.cat([module(row[row != 0][None]) for row in tokens])
        torch.testing.assert_close(module(tokens), expected)


def test_groups_have_every_text_once():
    lengths = np.array([3, 0, 9, 3, 0, 400, 1])
    groups = groups_of_length(lengths)
    assert sorted(np.concatenate(groups)) == [0, 2, 3, 5, 6]
    assert all(lengths[rows].max() == lengths[rows[-1]] for rows in groups)
    assert [5] in [list(rows) for rows in groups]  # too long for the others
    assert groups_of_length(np.zeros(3, int)) == []


def test_groups_cost_the_least():
    rng = np.random.RandomState(0)
    for _ in range(10):
        lengths = np.sort(rng.randint(1, 60, size=9))
        costs = []
        for cuts in range(2**8):  # every way to cut the sorted texts
            ends = [i + 1 for i in range(8) if cuts >> i & 1] + [9]
            starts = [0, *ends[:-1]]
            pairs = list(zip(starts, ends, strict=True))
            costs.append(sum(64 + (b - a) * lengths[b - 1] for a, b in pairs))
        found = groups_of_length(lengths)
        cost = sum(64 + len(rows) * lengths[rows[-1]] for rows in found)
        assert cost == min(costs)


def test_gradients_under_autocast_and_with_recomputation(folder):
    module = load_transformer(folder, dropout=0.0).train()
    gradients = []
    for recomputes in (False, True):
        module.zero_grad()
        features = (
            checkpoint(module, X, use_reentrant=False) if recomputes else module(X)
        )
        features.square().sum().backward()
        gradients.append([p.grad.clone() for p in module.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = module(X)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, features.detach(), atol=0.1, rtol=0.1)
    rounded.sum().backward()


def test_dropout_is_that_of_the_model_unless_it_is_given(folder):
    for dropout, expected in [(None, 0.1), (0.3, 0.3)]:
        parts = load_transformer(folder, dropout=dropout).modules()
        shares = {part.p for part in parts if isinstance(part, torch.nn.Dropout)}
        assert shares == {expected}


def test_layers_and_their_learning_rates(folder):
    module = load_transformer(folder, out_features=3)
    above = layers_above(module)
    names = {name for name, _ in module.named_parameters()}
    assert names - above.keys() == {"bottleneck.weight", "bottleneck.bias"}
    for name, n in above.items():
        part = name.split(".")[1]
        assert n == (2 if part == "embeddings" else 1 - int(name.split(".")[3]))
    rates = rates_by_name(module, LayerRates(0.1, 0.5))
    assert rates.keys() == above.keys()
    assert set(rates.values()) == {0.1, 0.05, 0.025}
    assert rates["model.embeddings.word_embeddings.weight"] == 0.025
    frozen = frozen_names(module, embedding_names)
    assert frozen == {name for name in names if name.startswith("model.embeddings.")}


def test_a_blueprint_makes_the_same_with_other_weights(folder):
    module = load_transformer(folder, "cls", 3, 0.2).eval()
    again = pickle.loads(pickle.dumps(module.blueprint()))().eval()
    assert not torch.equal(again(X), module(X))
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(X), module(X))
    assert str(folder) not in str(module.blueprint())


def test_nothing_is_printed_and_no_setting_changes(folder, capfd):
    from transformers.utils import logging

    for level, has_bar in [(logging.WARNING, True), (logging.INFO, False)]:
        before = logging.get_verbosity(), logging.is_progress_bar_enabled()
        change = (
            logging.enable_progress_bar if has_bar else logging.disable_progress_bar
        )
        try:
            logging.set_verbosity(level)
            change()
            load_transformer(folder)
            assert logging.get_verbosity() == level
            assert logging.is_progress_bar_enabled() == has_bar
        finally:
            logging.set_verbosity(before[0])
            logging.enable_progress_bar()
    assert capfd.readouterr() == ("", "")


def test_models_that_cannot_be_loaded(tmp_path):
    with pytest.raises(OSError, match="name_or_path='no/such' is not a folder here"):
        load_transformer("no/such")
    with pytest.raises(ValueError, match="is a folder that AutoConfig cannot load"):
        load_transformer(tmp_path)
    folder = save_bert(tmp_path / "bert")
    change_config(folder, num_hidden_layers=3)
    with pytest.raises(ValueError, match="has no weights for 16 of the model's"):
        load_transformer(folder)
    change_config(folder, num_hidden_layers=2, hidden_size=64)
    with pytest.raises(ValueError, match="is a folder that AutoModel cannot load"):
        load_transformer(folder)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match="is a folder that AutoModel cannot load"):
        load_transformer(folder)
    file.unlink()
    with pytest.raises(
        ValueError, match=r"no file named model\.safetensors.* Pass one with"
    ):
        load_transformer(folder)
    config = transformers.T5Config(d_model=8, num_layers=1, vocab_size=9)
    config.save_pretrained(tmp_path / "t5")
    with pytest.raises(ValueError, match=r"an encoder and a decoder \(t5\)"):
        load_transformer(tmp_path / "t5")


@pytest.mark.parametrize(
    "load", [load_transformer, load_tokenizer, lambda name: Tokenizer(name).fit(["a"])]
)
def test_code_that_comes_with_a_model_is_not_run(load, tmp_path, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # were anybody asked
    folder = save_bert(tmp_path / "bert")
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").unlink()
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'x')")
    auto_map = {"AutoConfig": "own.Config", "AutoModel": "own.Model"}
    change_config(folder, model_type="own", auto_map=auto_map)
    auto_map = {"AutoTokenizer": ["own.Tokenizer", None]}
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": auto_map}))
    with pytest.raises(
        ValueError, match="needs Python code of its own, which is never"
    ):
        load(folder)
    assert not (tmp_path / "ran").exists()


def test_dropout_that_a_model_does_not_have(tmp_path):
    config = transformers.MambaConfig(hidden_size=8, num_hidden_layers=1, vocab_size=9)
    config.save_pretrained(tmp_path / "mamba")
    with pytest.raises(ValueError, match=r"dropout=0\.5 cannot be set: mamba models"):
        load_transformer(tmp_path / "mamba", dropout=0.5)
