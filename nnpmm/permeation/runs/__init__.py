"""The coarse-grained runs of a data set: their protocol, their jobs and their checks."""
