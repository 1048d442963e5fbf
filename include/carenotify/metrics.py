"""Every instrument, each behind one record_*() function."""
