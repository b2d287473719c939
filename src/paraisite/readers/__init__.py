"""Crystals from files of any supported format, one stream of them."""

from paraisite.readers.stream import iter_crystals as iter_crystals
from paraisite.readers.stream import read_crystals as read_crystals
