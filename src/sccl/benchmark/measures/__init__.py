"""Measures of an embedding, one a file: arrays in, one number out."""
