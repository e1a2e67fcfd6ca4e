"""Pretrained language models: from a folder of files to a policy, and back."""
