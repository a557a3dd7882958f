"""Check a built site, without the network: links lead somewhere, and all is its own.

    python docs/check_links.py docs/_build/html

Sphinx knows its own references only, not links in raw HTML, in templates, to downloads
or to places within a page. A page that loads a script, a picture or a font from another
host tells that host who reads it, and looks different where there is no network.
"""

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


def elsewhere(link):
    """Return whether a link leads out of the site."""
    return bool(urlsplit(link).scheme or urlsplit(link).netloc)


class Page(HTMLParser):
    """The links of a page, and the places in it that may be linked to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.places = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.places |= {attrs.get("id"), attrs.get("name") if tag == "a" else None}
        link = attrs.get("href") or attrs.get("src") or attrs.get("srcset")
        if link and not (tag == "a" and elsewhere(link)):
            self.links.append(link)


@cache
def page(path):
    """Return a page of the site."""
    return Page(path.read_text(encoding="utf-8"))


def broken_links(root):
    """Yield (page, link) for what leads nowhere, or is loaded from another host."""
    for path in sorted(root.rglob("*.html")):
        if "_static" in path.parts:
            continue  # templates of the theme
        for link in page(path).links:
            parts = urlsplit(link)
            target = path
            if parts.path:
                target = (path.parent / unquote(parts.path)).resolve()
            is_page = target.suffix == ".html" and target.is_file()
            place = unquote(parts.fragment)
            if (
                elsewhere(link)
                or not target.exists()
                or (is_page and place and place not in page(target).places)
            ):
                yield path.relative_to(root), link


if __name__ == "__main__":
    root = Path(sys.argv[1]).resolve()
    if not (root / "index.html").exists():
        sys.exit(f"{root} is not a built site: run make docs first.")
    broken = [f"{path}: {link}" for path, link in broken_links(root)]
    title = "Links that lead nowhere, or load from another host:"
    sys.exit("\n".join([title, *broken]) if broken else 0)
