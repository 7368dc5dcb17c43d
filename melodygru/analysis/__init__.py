"""What can be said of music and of what a model makes of it: style, originality, explanations."""
