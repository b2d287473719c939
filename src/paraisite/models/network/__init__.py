"""The paper's network in plain PyTorch: MEGNet's body and a perceptron, an ensemble as one module."""
