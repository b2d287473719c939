"""Why the multi-fidelity model says what it says: the parts of a prediction, its nearest crystals, its descriptors."""
