"""Texts and the language model that is learned from them."""

from upperhand.language.corpus import Corpus as Corpus
from upperhand.language.sources import cache as cache
from upperhand.language.tokenizer import Tokenizer as Tokenizer
