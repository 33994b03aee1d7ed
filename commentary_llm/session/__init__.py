"""One match: events in, written and spoken lines on one timeline out."""
