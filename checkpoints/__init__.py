"""From published weights to what a rank loads: fetch, import, quantise, shard, each result with a manifest."""
