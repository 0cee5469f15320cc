"""What moved, when, how surely, and what moved with it?"""
