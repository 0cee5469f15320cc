"""The judgement of a release: baseline, stability, anomalies, health, regression."""
