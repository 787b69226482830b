"""What is to be run? From options to runs."""
