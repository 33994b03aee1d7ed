"""From events to what may be said of them, in no language: facts, urgency, build-ups."""
