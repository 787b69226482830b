"""The folder that relative paths start from."""

import os


def check_working_directory() -> None:
    """Raise a FileNotFoundError that says what to do, if the working directory was deleted."""
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            "The working directory was deleted: go to one that is there, `cd` in a shell or `os.chdir(...)`."
        ) from error
