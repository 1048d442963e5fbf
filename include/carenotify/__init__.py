"""carenotify: appointments in, reminders and changes out."""
