"""Tables as people have them: read a file, tell its columns apart, prepare them for a network."""
