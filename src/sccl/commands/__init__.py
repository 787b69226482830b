"""What does one type? ``sccl-embed``, from counts to an embedding, scores and pictures."""
