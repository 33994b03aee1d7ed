"""What a rank reads: manifests, a LLaMA's shape and a rank's share of it, built engines. Builds nothing."""
