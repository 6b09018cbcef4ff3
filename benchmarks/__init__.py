"""Speed and compile time, as ratios measured in one run."""
