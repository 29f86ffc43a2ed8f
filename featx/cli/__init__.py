"""The shell: arguments in, one public call, a table or JSON out."""
