"""`python -m rrdns`: the command line."""

from rrdns.cli.main import main

if __name__ == "__main__":
    main()
