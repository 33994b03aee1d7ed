"""What a run leaves behind to be read: the page, and the figures for the terminal. Reads records only."""
