"""Scan databases of crystals: any source, parts that a killed scan keeps, one row for every structure."""
