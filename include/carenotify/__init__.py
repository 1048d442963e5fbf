"""carenotify: appointments in, reminders and changes out."""

__version__ = "0.1.0"
