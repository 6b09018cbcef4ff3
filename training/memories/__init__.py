"""The experiments of the Hopfield-Kuramoto paper, and of the memories that learn by themselves."""
