"""What people see: tables, messages, progress, and rows in files."""
