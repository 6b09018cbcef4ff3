"""
Communities of the karate club
==============================

34 members of a karate club, who met or did not meet outside it, split into two clubs later. Each member is a random
memory, and the graph says who met whom. Recall that spreads along the edges ends in states that members of one
community share.
"""

import keras
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np

from keras_kuramoto.layers import CDAMRecall

NEURONS, STEPS = 1000, 101

graph = nx.karate_club_graph()
rng = np.random.default_rng(0)
memories = rng.uniform(size=(len(graph), NEURONS)).astype("float32")
memory = CDAMRecall(memories, graph, a=-0.5, h=1.5, beta=1.0, eta=0.1, num_steps=STEPS)
attractors = np.corrcoef(keras.ops.convert_to_numpy(memory(memories)))

# %%
# Two groups: the signs of the leading eigenvector of the attractors' correlations. Rings mark those who later joined
# the other club than their group says.

side = np.linalg.eigh(attractors)[1][:, -1] > 0
club = np.array([graph.nodes[member]["club"] == "Officer" for member in graph])
side = side if (side == club).mean() > 0.5 else ~side
misplaced = side != club

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
order = np.argsort(side, kind="stable")
image = left.imshow(attractors[np.ix_(order, order)], cmap="coolwarm", vmin=-1, vmax=1)
left.set(title="correlation of the states that members recall", xlabel="member", ylabel="member")
figure.colorbar(image, ax=left)
colors = np.where(side, "tab:orange", "tab:blue")
places = nx.kamada_kawai_layout(graph)
edges = np.where(misplaced, "black", "white")
nx.draw_networkx(graph, places, ax=right, node_color=colors, edgecolors=edges, linewidths=2, edge_color="0.8")
right.set_title(f"two communities, {misplaced.sum()} of {len(graph)} misplaced")
right.axis("off")
plt.show()
