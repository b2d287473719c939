"""The default model: a surrogate of cheap values, corrected by Gaussian processes; numpy alone."""
