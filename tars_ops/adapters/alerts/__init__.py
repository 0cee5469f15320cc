"""How do alerts wait, and how do they reach those who must act?"""
