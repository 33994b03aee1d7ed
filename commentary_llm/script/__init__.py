"""From match events to what may be said."""
