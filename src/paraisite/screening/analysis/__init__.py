"""What finished scans say: correlations with features, spread of the members, candidates, as one report."""
