"""Real people as judges: pairs of texts that a run asks about, and the labels that people give."""

from upperhand.labelling.people import people as people
