"""What every room stands on: errors, places on disk, files, ranks, clock, metrics. Imports nothing of ours."""
