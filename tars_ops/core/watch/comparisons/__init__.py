"""Is a day really worse than what it is compared with?"""
