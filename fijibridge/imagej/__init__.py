"""ImageJ's vocabulary: hyperstacks, tables, measurements, installations. Needs no Java."""
