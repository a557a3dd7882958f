"""The data and modules of benchmarks/tasks, on small cases."""

import re
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch
from benchmark_scripts import load_script

from skmhe.nn import Margin

HAN = "一国語鬱"


def load(name):
    """Import a file of benchmarks/tasks."""
    return load_script(name, "tasks")


@pytest.fixture(scope="module")
def images_module():
    return load("compare_images")


@pytest.fixture(scope="module")
def characters():
    pytest.importorskip("PIL")
    pytest.importorskip("fontTools")
    return load("make_characters")


@pytest.fixture(scope="module")
def source(characters):
    """Return any font of this machine that has the characters of HAN."""
    files = ("*.ttf", "*.otf", "*.ttc")
    homes = (Path("/usr"), Path("/usr/local"), Path.home() / ".local")
    folders = [home / "share" / "fonts" for home in homes]
    for path in sorted(p for f in folders for kind in files for p in f.rglob(kind)):
        found = characters.Source(characters.Font("", path.name, ""), path, "")
        if set(map(ord, HAN)) <= characters.han_characters(found):
            return found
    pytest.skip("no font with Chinese characters on this machine")


@pytest.fixture(scope="module")
def box_source(characters, tmp_path_factory):
    """Return a font that is always there: a bar (一), a dot (丁), a blank (丂)."""
    return build_font(characters, tmp_path_factory.mktemp("fonts") / "boxes.ttf")


def draw_box(pen, x0, y0, x1, y1):
    pen.moveTo((x0, y0))
    for corner in ((x0, y1), (x1, y1), (x1, y0)):
        pen.lineTo(corner)
    pen.closePath()


def build_font(characters, path):
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    boxes = {
        ".notdef": (0, 0, 500, 500),
        "wide": (0, 800, 1000, 900),  # high above the middle of the line
        "dot": (0, 0, 100, 100),
        "blank": None,
    }
    glyphs = {}
    for name, box in boxes.items():
        pen = TTGlyphPen(None)
        if box:
            draw_box(pen, *box)
        glyphs[name] = pen.glyph()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(list(boxes))
    builder.setupCharacterMap({0x4E00: "wide", 0x4E01: "dot", 0x4E02: "blank"})
    builder.setupGlyf(glyphs)
    builder.setupHorizontalMetrics(dict.fromkeys(boxes, (1000, 0)))
    builder.setupHorizontalHeader(ascent=900, descent=-100)
    builder.setupNameTable({"fullName": "Boxes", "version": "Version 1"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    return characters.Source(characters.Font("boxes", path.name, ""), path, "1.0")


def ink_box(image):
    """Return first and last row, first and last column of what is not background."""
    rows, columns = np.nonzero(image)
    return rows.min(), rows.max(), columns.min(), columns.max()


def test_fonts_have_families_of_their_own_for_testing(characters):
    test = {font.package for font in characters.FONTS if font.test}
    train = {font.package for font in characters.FONTS if not font.test}
    assert len(test) >= 2
    assert not test & train


def test_render_centers_every_glyph_at_one_scale(characters, box_source):
    size = characters.fit_size(box_source, ["一"])
    font = characters.open_font(box_source, size)
    images = characters.render(font, ["一", "丁", "丂"])
    top, bottom, left, right = ink_box(images[0])
    assert right - left + 1 == 30  # the widest glyph gets 30 of 32 pixels
    assert abs(left - (31 - right)) <= 1 and abs(top - (31 - bottom)) <= 1
    dot = ink_box(images[1])
    assert dot[1] - dot[0] + 1 in (3, 4, 5)  # a tenth of it, not blown up
    assert abs(dot[0] - (31 - dot[1])) <= 1
    assert not images[2].any()


def test_ink_larger_than_the_canvas_is_shrunk(characters):
    from PIL import Image

    ink = Image.new("L", (2 * characters.CANVAS, characters.CANVAS), 255)
    image = characters.center(ink)
    assert ink_box(image) == (8, 23, 0, 31)


def test_han_characters_and_names(characters, box_source):
    assert characters.han_characters(box_source) == {0x4E00, 0x4E01, 0x4E02}
    assert characters.names(box_source) == ("Boxes", "Version 1")


def test_is_drawn_refuses_blank_notdef_and_shared_images(images_module):
    rng = np.random.default_rng(0)
    images = rng.integers(1, 255, (10, 32, 32)).astype(np.uint8)
    images[1] = 0
    images[2] = notdef = np.full((32, 32), 7, np.uint8)
    images[4:9] = images[4]  # one more than MAX_SHARED
    drawn = images_module.is_drawn(images, notdef)
    assert images_module.MAX_SHARED == 4
    np.testing.assert_array_equal(np.flatnonzero(drawn), [0, 3, 9])
    assert images_module.n_ambiguous(images) == 5


def test_compare_fonts_finds_duplicates(images_module):
    rng = np.random.default_rng(0)
    by_font = rng.integers(0, 255, (3, 20, 32, 32)).astype(np.uint8)
    by_font[1, :15] = by_font[0, :15]
    by_font[2, :5] = np.minimum(by_font[0, :5], 250)  # nearly the same
    identical, alike = images_module.compare_fonts(by_font)
    np.testing.assert_allclose(identical[0], [1, 0.75, 0])
    np.testing.assert_allclose(alike[0], [1, 0.75, 0.25])
    np.testing.assert_array_equal(alike, alike.T)


def test_fonts_that_draw_alike_are_refused(characters):
    alike = np.array([[1, 0.75, 0.25], [0.75, 1, 0.25], [0.25, 0.25, 1]])
    fonts = [characters.Font("p", name, "") for name in ("a.ttf", "b.ttf", "c.ttf")]
    message = "b.ttf and a.ttf draw 75% of the characters alike (at most 60%)"
    with pytest.raises(ValueError, match=re.escape(message)):
        characters.check_different(fonts, alike)
    characters.check_different(fonts[1:], alike[1:, 1:])
    fonts[2] = fonts[2]._replace(test=True)
    with pytest.raises(ValueError, match=r"c\.ttf and b\.ttf draw 25% .*at most 5%"):
        characters.check_different(fonts[1:], alike[1:, 1:])


def test_fonts_without_common_characters_are_refused(characters, box_source):
    with pytest.raises(ValueError, match="draws none of the characters"):
        characters.fit_size(box_source, ["丂"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(characters, "HAN", ((0x20000, 0x3FFFF),))
        with pytest.raises(ValueError, match="no character is in all fonts"):
            characters.draw_all([box_source])


def test_draw_all_and_save(characters, box_source, tmp_path):
    by_font, drawn = characters.draw_all([box_source, box_source])
    np.testing.assert_array_equal(drawn, ["一", "丁"])  # not the blank one
    path = tmp_path / "out.npz"
    characters.save(path, [box_source, box_source], by_font, drawn)
    characters.save_sheet(tmp_path / "sheet.png", by_font, n_columns=2)
    with np.load(path) as data:
        assert data["images"].shape == (4, 1, 32, 32)
        assert data["images"].dtype == np.uint8
        np.testing.assert_array_equal(data["label"], [0, 1, 0, 1])
        np.testing.assert_array_equal(data["font"], [0, 0, 1, 1])
        assert list(data["package_versions"]) == ["1.0", "1.0"]
        np.testing.assert_array_equal(data["font_is_test"], [False, False])


def test_real_characters_differ_and_are_centered(characters, source):
    font = characters.open_font(source, characters.fit_size(source, list(HAN)))
    images = characters.render(font, list(HAN))
    notdef = characters.render(font, [characters.NO_CHARACTER])[0]
    assert characters.is_drawn(images, notdef).all()
    assert characters.n_ambiguous(images) == 0
    for image in images:
        top, bottom, left, right = ink_box(image)
        assert abs(left - (31 - right)) <= 1 and abs(top - (31 - bottom)) <= 1


def test_missing_font_files_and_commands_are_reported(characters, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file ipag\.ttf"):
        characters.find_file(characters.Font("fonts-ipafont", "ipag.ttf", ""), tmp_path)
    with pytest.raises(RuntimeError, match="no-such-command is not on this machine"):
        characters.run("no-such-command")
    with pytest.raises(RuntimeError, match="--fonts FOLDER"):
        characters.run(sys.executable, "-c", "raise SystemExit(3)")


@pytest.fixture(scope="module")
def next_word():
    return load("bench_next_word")


COUNTS = torch.tensor([40, 30, 20, 5, 3, 2])


def test_adaptive_softmax_starts_from_frequencies(next_word):
    # As the other heads do: else it would spend an epoch on how frequent words are.
    head = next_word.Adaptive(32, 6, [2, 4])
    head.set_prior(COUNTS, COUNTS.sum())
    found = head.layer.log_prob(torch.zeros(1, 32))[0].exp()
    # Within a cluster of rare words nothing is known before training.
    expected = torch.tensor([40, 30, 12.5, 12.5, 2.5, 2.5]) / 100
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0)


def test_batches_of_glosses(next_word):
    rows = [[5, 6, 7], [8]]
    ((inputs, targets, is_target),) = next_word.batches(rows, 2)
    end = next_word.END
    assert inputs.tolist() == [[end, 5, 6, 7], [end, 8, end, end]]
    assert is_target.tolist() == [[True] * 4, [True, True, False, False]]
    assert targets.tolist() == [5, 6, 7, end, 8, end]


def test_contexts_of_words_come_from_their_own_glosses(next_word):
    contexts = next_word.word_contexts([[2, 3], [4]], n_words=5)
    found = {word: set(contexts[[word]].nonzero()[1]) for word in range(5)}
    end = next_word.END
    assert found[3] == {2, 5 + end}  # behind 2, before the end
    assert found[4] == {end, 5 + end}


def test_spread_of_seeds():
    mean_sd = load("spread").mean_sd
    assert mean_sd([96.5]) == "96.50"
    assert mean_sd([1, 2, 3], digits=1) == "2.0 ± 1.0"


# ------------------------------------------------------------ estimators of the tasks


def test_estimators_of_images():
    module = load("bench_characters")
    args = {"width": 4, "batch_size": 16, "epochs": 1, "rate": 1e-3, "verbose": False}
    args = Namespace(**args, head_sizes=[2, 4], groups=1, beam=3)
    rng = np.random.default_rng(0)
    X, y = rng.random((32, 1, 32, 32), np.float32), np.arange(32) % 8
    for name in ("full", "sampling", "cascade", "product"):
        clf = module.make_estimator(module.make_strategy(name, args), args, seed=0)
        assert clf.fit(X, y).strategy_ == name
        assert clf.head_sizes_ == ((8,) if name == "full" else (2, 4))
        assert clf.backbone.params == {"width": 4}
    strategy = module.make_strategy("full", args).set_params(margin=Margin("arcface"))
    assert module.make_estimator(strategy, args, 0).fit(X, y).transform(X).ndim == 2


def test_acceptance_of_pairs():
    # Two of three pairs of the same label are nearer than all others.
    angles = np.radians([0, 1, 40, 42, 100, 140])
    features = np.c_[np.cos(angles), np.sin(angles)] * np.arange(1, 7)[:, None]
    found = load("bench_characters").acceptance(features, np.repeat([0, 1, 2], 2))
    np.testing.assert_allclose(found, [200 / 3, 200 / 3])
