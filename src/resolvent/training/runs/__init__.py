"""What a training run does besides the mathematics: devices, processes, batches, progress, and files in its folder."""
