"""The decisions, without I/O: time, messages and answers come in, and what is to be done comes out."""
