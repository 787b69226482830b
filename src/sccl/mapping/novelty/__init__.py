"""Which new cells are like nothing in the reference? Novelty detection, calibrated on the reference's own batches."""
