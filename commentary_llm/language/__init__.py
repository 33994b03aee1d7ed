"""What is said, and how: the contract of a language, the registry that finds them, and a folder for each."""
