"""Which claims hold of a judged artifact, for which service, on which evidence? One module per kind of artifact.

Everything that a gate says was measured and judged before; here it becomes a claim with the figures that an operator
asks for first. The same functions serve the asset checks and the alerts, so the two cannot disagree.
"""
