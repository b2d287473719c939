"""How far a prediction can be off, and whether the model knows such crystals."""
