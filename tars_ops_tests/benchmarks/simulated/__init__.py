"""Release weeks that never happened: drawn by number, with the truth about them kept beside the telemetry."""
