"""What a user would try instead of the network, under the same splits.

The composition network among them is Roost, which needs the extra `roost`. CrabNet (doi 10.1038/s41524-021-00545-1) was
tried before it: pip refuses its releases 1.0.0 and 1.0.1, which require a distribution named `python`; unpacked by hand,
1.0.1 stops for want of `mat2vec.csv`, the element embedding that its wheel leaves out.
"""
