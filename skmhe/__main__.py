"""The command line, as ``python -m skmhe``."""

from skmhe.command_line import main

if __name__ == "__main__":
    main()
