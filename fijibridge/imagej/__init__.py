"""ImageJ's vocabulary without Java: hyperstacks, lookup tables, tables, measurements, installations."""
