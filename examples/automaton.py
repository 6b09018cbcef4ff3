"""
A finite automaton in a memory
==============================

States and transitions of an automaton are memories; an edge of the memory graph leads from a transition to the state
where it ends. A step shows a label, and recall does the rest: here the labels are relations of a family.
"""

import matplotlib.pyplot as plt

from keras_kuramoto.layers import FiniteAutomaton

PEOPLE = 4

family = [
    ("Ada", "husband", "Ben"),
    ("Ada", "daughter", "Cleo"),
    ("Ada", "son", "Dan"),
    ("Ben", "wife", "Ada"),
    ("Ben", "daughter", "Cleo"),
    ("Ben", "son", "Dan"),
    ("Cleo", "mother", "Ada"),
    ("Cleo", "father", "Ben"),
    ("Cleo", "brother", "Dan"),
    ("Dan", "mother", "Ada"),
    ("Dan", "father", "Ben"),
    ("Dan", "sister", "Cleo"),
]
automaton = FiniteAutomaton(family)

# %%
# Who is the wife of the father of Dan's sister? One step for each word.

state = automaton.encode(["Dan"])
for label in ("sister", "father", "wife"):
    state = automaton.step(state, label)
    print(label, "→", automaton.decode(state)[0])

# %%
# All people and all relations at once. Where someone has no such relation, the state stays.

people, labels = automaton.states[:PEOPLE], automaton.labels
answers = [automaton.decode(automaton.step(automaton.encode(people), label)) for label in labels]
figure, axis = plt.subplots(figsize=(8, 2.2), layout="constrained")
cells = [[column[row] if column[row] != who else "·" for column in answers] for row, who in enumerate(people)]
axis.table(cells, rowLabels=people, colLabels=labels, loc="center", cellLoc="center").scale(1, 1.7)
axis.set_title("who recalls whom, by which relation")
axis.axis("off")
plt.show()
