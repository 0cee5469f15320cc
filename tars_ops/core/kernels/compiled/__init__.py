"""What does the machine code do? Loops for the compiler, each behind a front function of the package above.

Importing a module of this package imports the compiler, so only front functions do, when they are called.
"""
