"""Assets of the judgement."""
