"""The shipped model, installed as `melodygru.checkpoints`."""
