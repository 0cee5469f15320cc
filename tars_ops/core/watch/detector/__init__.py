"""How surprising is a sample, and how far is it from the GA day?"""
