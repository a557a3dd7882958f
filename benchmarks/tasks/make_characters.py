"""Draw Chinese characters in many fonts: images of thousands of classes.

    python benchmarks/tasks/make_characters.py OUT.npz [--fonts FOLDER] [--sheet PNG]

A class is a character; a sample is that character in one font, as a gray image of 32 x
32 pixels (0 is the background, 255 is ink). The classes are the Han characters that
every font of FONTS has. The fonts with ``test=True`` are of other families than those
for training: they test whether a model knows a character in a font it has never seen.

The fonts come from Debian's packages, by ``apt-get download`` (after ``apt-get
update``) into a temporary folder, where ``dpkg-deb -x`` unpacks them: nothing is
installed. --fonts takes a folder that holds the font files, at any depth, instead.
It needs the extra ``tasks`` (Pillow, fontTools).

OUT.npz holds, with n samples grouped by font and, within a font, in the order of
``characters``:

- ``images``: uint8, (n, 1, 32, 32)
- ``label``: int64, (n,), index into ``characters``
- ``font``: int64, (n,), index into the arrays below
- ``characters``: str, (n_classes,), in the order of their code points
- ``font_names``, ``packages``, ``package_versions`` ("" with --fonts),
  ``font_versions``: str, (n_fonts,)
- ``font_is_test``: bool, (n_fonts,)

The same font files and the same versions of Pillow and FreeType give the same file.

Licenses: the fonts are free software, under the license that FONTS names for each (the
text is in the package's ``usr/share/doc/PACKAGE/copyright``). Neither the fonts nor the
images are part of this repository; the licenses apply to images that are passed on.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from compare_images import compare_fonts, is_drawn, n_ambiguous
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

SIDE = 32
# Characters are drawn four times as large and averaged down. Hinting and the bitmaps
# that some fonts carry for small sizes would otherwise make one font unlike another
# in ways that have nothing to do with its typeface.
OVERSAMPLING = 4
CANVAS = SIDE * OVERSAMPLING
INK_SIDE = 30 * OVERSAMPLING  # of the characters at the percentile below
INK_PERCENTILE = 99
# If a larger share of images of two fonts is alike, they are the same font with two
# names. A font for testing and one for training must have (almost) none in common.
MAX_ALIKE = 0.6
MAX_ALIKE_TEST = 0.05
SIZE_STEP = 8  # every eighth character is measured to find the size of a font
NO_CHARACTER = "\U0010fffe"  # a code point that no font may have
HAN = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x20000, 0x3FFFF))


class Font(NamedTuple):
    """A font of a Debian package: the file's name, and the face in a collection."""

    package: str
    file: str
    license: str
    face: int = 0
    test: bool = False


# Where several fonts are drawn from the same outlines (Takao, IPAex and IPA; Monapo and
# IPA Gothic; Migu, MigMix and VL Gothic; WenQuanYi Micro Hei and Droid; UmePlus and
# Ume; AR PL UMing and BabelStone Han; the languages of Noto), one of them is here.
FONTS = (
    Font("fonts-noto-cjk", "NotoSansCJK-Regular.ttc", "OFL 1.1"),  # face 0: Japanese
    Font("fonts-noto-cjk", "NotoSansCJK-Bold.ttc", "OFL 1.1"),
    Font("fonts-noto-cjk", "NotoSerifCJK-Regular.ttc", "OFL 1.1"),
    Font("fonts-ipafont-gothic", "ipag.ttf", "IPA Font License 1.0"),
    Font("fonts-ipafont-mincho", "ipam.ttf", "IPA Font License 1.0"),
    Font("fonts-droid-fallback", "DroidSansFallbackFull.ttf", "Apache 2.0"),
    Font("fonts-vlgothic", "VL-Gothic-Regular.ttf", "M+ and Sazanami (free, own)"),
    Font("fonts-motoya-l-cedar", "MTLc3m.ttf", "Apache 2.0"),
    Font("fonts-motoya-l-maruberi", "MTLmr3m.ttf", "Apache 2.0"),
    Font("fonts-horai-umefont", "ume-tgo4.ttf", "Ume (free, own)"),
    Font("fonts-horai-umefont", "ume-tmo3.ttf", "Ume (free, own)"),
    Font("fonts-konatu", "Konatu.ttf", "MIT"),
    Font("fonts-hanazono", "HanaMinA.ttf", "Hanazono (free, own) or OFL 1.1"),
    Font("fonts-babelstone-han", "BabelStoneHan.ttf", "Arphic PL, CC BY-SA 3.0"),
    Font("fonts-arphic-ukai", "ukai.ttc", "Arphic Public License"),
    Font("fonts-lxgw-wenkai", "LXGWWenKai-Regular.ttf", "OFL 1.1"),
    Font("fonts-kanjistrokeorders", "KanjiStrokeOrders_v4.003.ttf", "BSD 3-Clause"),
    Font("fonts-dotgothic16", "DotGothic16-Regular.ttf", "OFL 1.1"),
    Font("fonts-mona", "mona.ttf", "public domain"),
    Font("fonts-reggae", "ReggaeOne-Regular.ttf", "OFL 1.1"),
    Font("fonts-seto", "setofont.ttf", "OFL 1.1"),
    Font("fonts-kouzan-mouhitsu", "kouzan-mouhitsu.ttf", "public domain"),
    Font("fonts-kouzan-mouhitsu", "kouzan-mouhitsu-gyosho.ttf", "public domain"),
    Font("fonts-kouzan-mouhitsu", "KouzanBrushFontSousyo.ttf", "public domain"),
    Font("fonts-aoyagi-soseki", "aoyagi-soseki.ttf", "public domain"),
    Font(
        "fonts-morisawa-bizud-gothic", "BIZUDGothic-Regular.ttf", "OFL 1.1", test=True
    ),
    Font(
        "fonts-morisawa-bizud-mincho", "BIZUDMincho-Regular.ttf", "OFL 1.1", test=True
    ),
    Font("fonts-wqy-zenhei", "wqy-zenhei.ttc", "GPL 2, font exception", test=True),
    Font("fonts-cns11643-kai", "TW-Kai-98_1.ttf", "OGDL Taiwan 1.0", test=True),
    Font("fonts-cns11643-sung", "TW-Sung-98_1.ttf", "OGDL Taiwan 1.0", test=True),
    Font("fonts-kiloji", "kiloji.ttf", "BSD 3-Clause", test=True),
)


class Source(NamedTuple):
    """A font that was found: its file, and the version of its package."""

    font: Font
    path: Path
    package_version: str


def run(*command, cwd=None):
    """Return what a command prints, or raise an error that says what failed."""
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise RuntimeError(
            f"{command[0]} is not on this machine (it is part of Debian and its "
            "derivatives); fetch the font files yourself and pass --fonts FOLDER."
        ) from error
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)} failed: {done.stderr.strip()}\nRun apt-get update, "
            "or pass --fonts FOLDER with the font files."
        )
    return done.stdout


def fetch_fonts(fonts, folder):
    """Download and unpack the packages of fonts into a folder; return the Sources."""
    packages = sorted({font.package for font in fonts})
    run("apt-get", "download", *packages, cwd=folder)
    versions = {}
    for deb in sorted(folder.glob("*.deb")):
        package, version = run(
            "dpkg-deb", "-W", "--showformat=${Package}\t${Version}", str(deb)
        ).split("\t")
        versions[package] = version
        run("dpkg-deb", "-x", str(deb), str(folder / package))
    return [
        Source(font, find_file(font, folder / font.package), versions[font.package])
        for font in fonts
    ]


def find_file(font, folder):
    """Return the path of a font's file in a folder, at any depth."""
    paths = sorted(path for path in folder.rglob(font.file) if path.is_file())
    if not paths:
        raise FileNotFoundError(
            f"--fonts: {folder} has no file {font.file}; it is in Debian's package "
            f"{font.package}."
        )
    return paths[0]


def han_characters(source):
    """Return the Han code points that a font has an entry for, as a set."""
    with TTFont(source.path, fontNumber=source.font.face, lazy=True) as font:
        codes = font.getBestCmap()
    return {code for code in codes if any(low <= code <= top for low, top in HAN)}


def names(source):
    """Return a font's full name and version, as the font has them."""
    with TTFont(source.path, fontNumber=source.font.face, lazy=True) as font:
        table = font["name"]
        return table.getDebugName(4), table.getDebugName(5)


def open_font(source, size):
    return ImageFont.truetype(
        source.path,
        size,
        index=source.font.face,
        layout_engine=ImageFont.Layout.BASIC,
    )


def draw_ink(font, character):
    """Return a character's ink, cropped to what is not background, or None."""
    image = Image.new("L", (2 * font.size, 2 * font.size))
    ImageDraw.Draw(image).text(
        (font.size, font.size), character, fill=255, font=font, anchor="mm"
    )
    box = image.getbbox()
    return None if box is None else image.crop(box)


def fit_size(source, characters):
    """Return the size at which a font's characters fill the canvas as those of others.

    One size serves all characters of a font, so that small characters stay small.
    """
    font = open_font(source, CANVAS)
    inks = (draw_ink(font, character) for character in characters)
    sides = [max(ink.size) for ink in inks if ink is not None]
    if not sides:
        raise ValueError(
            f"FONTS: {source.font.file} draws none of the characters that all fonts "
            "have; leave it out."
        )
    return round(CANVAS * INK_SIDE / np.percentile(sides, INK_PERCENTILE))


def center(ink):
    """Put ink into the middle of a canvas and average it down to (SIDE, SIDE).

    The little ink that is larger than the canvas is shrunk to it.
    """
    if max(ink.size) > CANVAS:
        ink = ink.copy()
        ink.thumbnail((CANVAS, CANVAS), Image.Resampling.BOX)
    canvas = Image.new("L", (CANVAS, CANVAS))
    canvas.paste(ink, ((CANVAS - ink.width) // 2, (CANVAS - ink.height) // 2))
    return np.asarray(canvas.reduce(OVERSAMPLING))


def render(font, characters):
    """Return the images of characters (n, SIDE, SIDE); blank where there is no ink."""
    images = np.zeros((len(characters), SIDE, SIDE), np.uint8)
    for image, character in zip(images, characters, strict=True):
        ink = draw_ink(font, character)
        if ink is not None:
            image[:] = center(ink)
    return images


def check_different(fonts, alike):
    """Raise ValueError if two fonts are the same, or a test font is like another."""
    for i, first in enumerate(fonts):
        for j, second in enumerate(fonts[:i]):
            limit = MAX_ALIKE if first.test == second.test else MAX_ALIKE_TEST
            if alike[i, j] > limit:
                raise ValueError(
                    f"FONTS: {first.file} and {second.file} draw {alike[i, j]:.0%} of "
                    f"the characters alike (at most {limit:.0%}); keep one of them."
                )


def draw_all(sources):
    """Draw the characters that all fonts have.

    Returns
    -------
    by_font : uint8 array of shape (n_fonts, n_classes, SIDE, SIDE)
    characters : list of str
    """
    codes = set.intersection(*(han_characters(source) for source in sources))
    if not codes:
        raise ValueError("FONTS: no character is in all fonts; leave some fonts out.")
    candidates = np.array([chr(code) for code in sorted(codes)])
    by_font = np.zeros((len(sources), len(candidates), SIDE, SIDE), np.uint8)
    drawn = np.ones(len(candidates), bool)
    for source, images in zip(sources, by_font, strict=True):
        font = open_font(source, fit_size(source, candidates[::SIZE_STEP]))
        images[:] = render(font, candidates)
        here = is_drawn(images, render(font, [NO_CHARACTER])[0])
        drawn &= here
        print(f"{source.font.file}: draws {here.sum()} of {len(here)}", flush=True)
    return by_font[:, drawn], candidates[drawn]


def report(sources, by_font, identical, alike):
    """Print for each font the largest share of images that it has in common.

    The columns: how the font is used, its file, the share of images identical to and
    alike those of the font that is most like it, the images that another character of
    the same font has, too, and that other font.
    """
    print(f"{by_font.shape[1]} classes, {by_font.shape[1] * len(sources)} images")
    print("use    identical    alike  ambiguous  file, most like")
    common = (identical + alike) * (1 - np.eye(len(sources)))
    for i, source in enumerate(sources):
        most = int(common[i].argmax())
        use = "test " if source.font.test else "train"
        shares = "        none     none"
        other = "no other"
        if common[i, most]:
            shares = f"{identical[i, most]:12.4%} {alike[i, most]:8.2%}"
            other = sources[most].font.file
        ambiguous = n_ambiguous(by_font[i])
        print(f"{use} {shares} {ambiguous:10}  {source.font.file}, {other}")


def save(path, sources, by_font, characters):
    """Write the data set, in the form that is described above."""
    n_fonts, n_classes = by_font.shape[:2]
    font_names, font_versions = zip(*map(names, sources), strict=True)
    np.savez_compressed(
        path,
        images=by_font.reshape(-1, 1, SIDE, SIDE),
        label=np.tile(np.arange(n_classes), n_fonts),
        font=np.repeat(np.arange(n_fonts), n_classes),
        characters=characters,
        font_names=np.array(font_names),
        font_versions=np.array(font_versions),
        packages=np.array([source.font.package for source in sources]),
        package_versions=np.array([source.package_version for source in sources]),
        font_is_test=np.array([source.font.test for source in sources]),
    )


def save_sheet(path, by_font, n_columns=32):
    """Write a picture: a row for each font, a column for each of some classes."""
    columns = np.linspace(0, by_font.shape[1] - 1, n_columns).astype(int)
    rows = by_font[:, columns].transpose(0, 2, 1, 3)
    sheet = Image.fromarray(255 - rows.reshape(-1, n_columns * SIDE))
    sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.BOX).save(path)


def make(out, sources, sheet=None):
    """Draw the fonts of sources, check them, and write the data set."""
    by_font, characters = draw_all(sources)
    identical, alike = compare_fonts(by_font)
    report(sources, by_font, identical, alike)
    check_different([source.font for source in sources], alike)
    save(out, sources, by_font, characters)
    if sheet:
        save_sheet(sheet, by_font)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="OUT.npz, outside of any repository")
    parser.add_argument("--fonts", type=Path, help="a folder with the font files")
    parser.add_argument("--sheet", type=Path, help="write a picture of some images")
    args = parser.parse_args()
    if args.out.suffix != ".npz":
        parser.error(f"OUT has to end in .npz; got {args.out}.")
    if args.fonts:
        sources = [Source(font, find_file(font, args.fonts), "") for font in FONTS]
        make(args.out, sources, args.sheet)
        return
    with tempfile.TemporaryDirectory() as folder:
        make(args.out, fetch_fonts(FONTS, Path(folder)), args.sheet)


if __name__ == "__main__":
    main()
