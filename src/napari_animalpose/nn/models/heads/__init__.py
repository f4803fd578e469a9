"""One kind of network output per file: targets, loss and decoder together."""
