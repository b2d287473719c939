"""What the report says whatever the outcome: the question, the protocols, and how each section is to be read."""

from __future__ import annotations

TITLE = "# Two-stage transfer to lattice thermal conductivity: the study repeated"
QUESTION = """\
A graph network (MEGNet's body and a perceptron) predicts κ at 300 K from the crystal. The study of Klochko and
d'Aquin (doi [10.1039/d5cp04401d](https://doi.org/10.1039/d5cp04401d)) trains it on 95 first-principles values
(Togo15) from random weights (step 1, RWTG15), from formation-energy weights (step 2, FETG15), and from
formation-energy weights by way of a few thousand AFLOW AGL values (step 3, FEAFTG15); RWAFTG15 leaves the formation
energies out. Here all of it is trained again, with the transfer done strictly. Figures are mean ± standard deviation
over the runs; MAPE is a fraction: 0.5 is 50 %."""
PROTOCOLS_TEXT = """\
- **Held out**, the headline: a fifth of the training part chooses the epoch, and the training part the scale of the
  target; the validation part is looked at once. The outer splits are the published ones, so that the zinc-blende and
  the wurtzite form of one compound may stand on both sides.
- **New compositions** (`grouped`): the same, but no composition is on both sides.
- **Paper protocol**: the published splits, and the epoch with the lowest error *on the validation part itself*. It is
  optimistic, and here for comparison with the published figures only.
- **Last epoch**: the runs of the paper protocol after their last epoch, never selected.
- **Compressed**: the published step 3 maps labels and predictions back with AFLOW's scale. Its figure is the error of
  a compressed κ, not of κ; ours in that scale stands beside it and nowhere else."""
DATA = """\
Togo15 and HH143 are first-principles values; AFLOW AGL comes from a quasi-harmonic Debye-Grüneisen model and is shown
in counts alone. MIX is Togo15 and HH143 together."""
MAIN = "MAPE in true κ, and the published figures. Ours by the paper protocol are the ones that compare with them."
TESTS_TEXT = """\
Paired over the runs: the corrected resampled t-test (Nadeau and Bengio 2003), which decides at 0.05, and Wilcoxon's
signed-rank test beside it; p-values after Holm's correction over the pairs of one data set. The training parts of the
runs overlap: the first allows for that and is slow to find a difference, the second does not and is quick to."""
METRICS_TEXT = """\
MAPE, median absolute percentage error (APE) and symmetric relative error (SRE, mean of 2 |p − κ| / (p + κ), as
[Matbench Discovery](https://github.com/janosh/matbench-discovery) has it) are fractions."""
CROSS = """\
MAPE on the validation part of the same run of the tested set; in brackets the published mean, with * where it is an
error of a compressed κ."""
EPOCHS_TEXT = """\
Validation error of the paper protocol's runs. The lowest point of a noisy curve, chosen by the validation part
itself, is what the published figures are."""
TRAPS = """\
The published code appears to load the formation-energy weights into nothing (no name matches, nothing is raised), and
to train and measure step 3 in a compressed κ. If so, its step 2 is step 1 by another name, and its step 3 is a
transfer from AFLOW alone. Ours under each hypothesis, on the same splits, by the paper protocol:"""
TRAPS_READING = """\
The runs differ in which crystals they validate, and that alone correlates any two trainings: the distance (RMSE)
tells more, and is to be read beside that of two seeds of one training. What correct transfer adds in true κ is under
[What transfer adds](#main-result)."""
ABLATION = """\
`frozen-body`: the body stays as the AFLOW stage left it, and AFLOW's head is fine-tuned. `new-head`: the same body,
and a head from random weights."""
LEARNING_CURVES = """\
Held-out MAPE by the number of training crystals; the fifth of them that selects the epoch is counted. Smaller
training parts are subsets of larger ones, and the validation parts stay the same."""
CANDIDATES_TEXT = """\
Simpler predictors on the same splits. They are fitted to the whole training part; the network holds a fifth of it out
to select its epoch. The network is FEAFTG15."""
