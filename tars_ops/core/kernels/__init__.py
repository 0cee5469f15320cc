"""How are millions of samples turned into numbers? Compiled loops: arrays in, arrays out, nothing of the product."""
