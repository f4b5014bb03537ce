"""What is fed: rows of logits, cotangents and tangents, made from integers and IEEE arithmetic alone."""
