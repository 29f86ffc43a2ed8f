"""Pictures within files: archives and tables that are read in place, and never unpacked."""
