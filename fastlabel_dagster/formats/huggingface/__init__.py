"""Datasets as Hugging Face's ``datasets`` loads them."""
