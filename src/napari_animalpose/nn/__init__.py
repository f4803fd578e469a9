"""From frames to poses: geometry, targets, networks, training, inference, metrics.

Importing this package, and every module in it but `models`, `training` and
`inference`, leaves keras and tensorflow unloaded.
"""
