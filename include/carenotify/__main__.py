"""`python -m carenotify`."""

from carenotify.cli import main

if __name__ == "__main__":
    main()
