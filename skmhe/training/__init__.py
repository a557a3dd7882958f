"""Training: data, plan, loop, optimizer, and the pools of the label encoder."""
