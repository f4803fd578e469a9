"""The networks in Keras: one architecture per file, and what the device does around them.

Everything in this package imports keras; nothing outside `nn` imports this package at
module level.
"""
