"""The command line: `skmhe train`, `predict`, `evaluate` and `info`."""

import sys


def main() -> None:
    """Run the command line, which needs the extra `cli`."""
    try:
        import click  # noqa: F401
    except ImportError as error:
        print(
            f"Error: the command line needs click ({error}): pip install 'skmhe[cli]'.",
            file=sys.stderr,
        )
        sys.exit(2)
    from skmhe.command_line.commands import cli

    cli(prog_name="skmhe")
