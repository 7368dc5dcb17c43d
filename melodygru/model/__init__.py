"""The model: its file, its parts, in Keras for training and in NumPy for composing."""
