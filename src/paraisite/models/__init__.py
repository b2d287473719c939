"""MEGNet, ParAIsite and their files."""
