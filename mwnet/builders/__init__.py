"""From options to objects: the one place where names become data, networks and methods."""
