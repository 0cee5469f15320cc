"""How much of an error budget is gone, how fast does it burn, and when does it end?"""
