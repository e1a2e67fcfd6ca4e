"""Problems that need data and a trained model before there is a problem."""

from upperhand.prepared.checkpoint import checkpoint as checkpoint
from upperhand.prepared.tweets import tweets as tweets
