"""What runs by itself: jobs, and the schedules and sensors that launch them.

The clock lives here and nowhere deeper: a tick's own time decides which windows are over.
"""
