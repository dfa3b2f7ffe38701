"""ImageJ's data structures in Python, without Java: hyperstacks, lookup tables, tables, measurements, installations."""
