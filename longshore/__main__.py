"""Entry point of `python -m longshore`: the same as the command `longshore`."""

from longshore.cli.main import main

if __name__ == "__main__":
    main()
