"""Languages: one folder each, with every word that is spoken in it."""
