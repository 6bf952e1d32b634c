"""``python -m fastlabel_dagster``: the ``fastlabel-dagster`` command, where its script is not on the path."""

from fastlabel_dagster.cli import main

if __name__ == "__main__":
    main()
