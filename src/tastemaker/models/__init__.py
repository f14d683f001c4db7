"""Models that rank items for a history: baselines, graph filters, neighbours, towers, and the pipeline of them all."""
