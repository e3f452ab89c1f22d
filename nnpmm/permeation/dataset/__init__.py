"""Features and labels of many runs as arrays, on disk and split for training."""
