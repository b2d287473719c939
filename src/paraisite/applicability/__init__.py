"""Crystals for which κ of a model of bulk, ordered, insulating crystals does not hold, found from the structure alone."""

from paraisite.applicability.concern import Concern
from paraisite.applicability.find import find_all_concerns, find_concerns

__all__ = ["Concern", "find_all_concerns", "find_concerns"]
