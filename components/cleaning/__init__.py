"""Cleaning: named filters, each of which keeps a pair, mends it or says why it goes."""
