"""What comes in and what goes out: trackers, microphones, streams, captions, files."""
