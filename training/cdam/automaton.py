"""`cdam automaton`: a family tree, or another finite automaton, answers questions, Sec. 3.4, A.12, Fig. 6, 7, 31."""

import dataclasses
import pathlib
import re

import numpy as np

from training.cdam.experiment import CommandOptions
from training.cdam.frames import decode_image
from training.cdam.graphs import read_transitions
from training.options import option

#: The family tree of Fig. 6, as in Table 2.
FAMILY = [
    ("Homer", "wife", "Marge"),
    ("Homer", "son", "Bart"),
    ("Homer", "daughter", "Lisa"),
    ("Marge", "husband", "Homer"),
    ("Marge", "son", "Bart"),
    ("Marge", "daughter", "Lisa"),
    ("Lisa", "mother", "Marge"),
    ("Lisa", "father", "Homer"),
    ("Lisa", "brother", "Bart"),
    ("Bart", "mother", "Marge"),
    ("Bart", "father", "Homer"),
    ("Bart", "sister", "Lisa"),
]


@dataclasses.dataclass(frozen=True)
class AutomatonOptions(CommandOptions):
    """Options of the experiment.

    Attributes:
        graph: File of transitions, as for `read_transitions`; the family tree of Fig. 6 if empty.
        images: Folder with an image of each state, named after it, from which its code is made; random codes if empty.
        ask: A question to answer; none if empty.
        prompt: Whether to ask for questions at a prompt.
    """

    graph: str = option("", "file of transitions: GraphML, GML, JSON, or lines 'state,label,next' (default: Fig. 6)")
    images: str = option("", "folder with an image of each state, such as Bart.png (default: random codes)")
    ask: str = option("", "a question to answer, such as \"Who is Bart's father's wife?\"", kept=False)
    prompt: bool = option(False, "ask for questions at a prompt", kept=False)


def check(options):
    """The automaton, and the question to answer.

    Args:
        options: `AutomatonOptions`.

    Returns:
        Pair of a `keras_kuramoto.layers.FiniteAutomaton` and the start and labels of the question, or `None`.

    Raises:
        ValueError: If the file can't be read or is no automaton, an image is missing, or the question can't be
            understood.
    """
    from keras_kuramoto.layers.finite_automaton import FiniteAutomaton

    transitions = read_transitions(options.graph) if options.graph else FAMILY
    patterns = None
    if options.images:
        states = list(dict.fromkeys(name for start, _, end in transitions for name in (start, end)))
        patterns = read_images(options.images, states)
    automaton = FiniteAutomaton(transitions, state_patterns=patterns, seed=options.seed)
    question = parse_question(options.ask, automaton.states, automaton.labels) if options.ask else None
    return automaton, question


def run(options, directory, checked):
    """Tries every label in every state, and answers questions. Leaves the automaton as a model that can be exported.

    Args:
        options: `AutomatonOptions`.
        directory: Where the plot and the model go.
        checked: What `check` returned.

    Returns:
        Dictionary of figures.
    """
    automaton, question = checked
    states, labels = automaton.states, automaton.labels
    # A label that a state does not have leaves it where it is.
    wanted = np.tile(np.arange(len(states))[:, None], len(labels))
    known = np.zeros(wanted.shape, bool)
    for start, label, end in automaton.transitions:
        wanted[start, label], known[start, label] = end, True
    starts, asked = (places.ravel() for places in np.indices(wanted.shape))
    vectors = automaton(automaton.encode([states[start] for start in starts]), asked)
    found = np.asarray(automaton.decode_index(vectors)).reshape(wanted.shape)
    # How far the state is from the memory where it should have come to rest.
    rest = np.asarray(automaton.encode([states[end] for end in wanted.ravel()]))
    error = float(np.abs(np.asarray(vectors) - rest).max())
    right = found == wanted
    result = {
        "states": states,
        "labels": labels,
        "questions": int(right.size),
        "right": int(right.sum()),
        "known": int(known.sum()),
        "known_right": int(right[known].sum()),
        "largest_error_of_the_state": error,
        "answers": {
            state: {label: states[found[i, j]] for j, label in enumerate(labels)} for i, state in enumerate(states)
        },
    }
    print(
        f"{len(states)} states × {len(labels)} labels: {result['right']} of {result['questions']} right, of which "
        f"{result['known_right']} of {result['known']} transitions and {int(right[~known].sum())} of "
        f"{int((~known).sum())} that there are not, where the state stays. States at rest within {error:.1e}."
    )
    width = max(map(len, map(str, (*states, *labels)))) + 2
    print(" " * width + "".join(f"{label:>{width}}" for label in labels))
    for i, state in enumerate(states):
        # Where it stays there is a dot.
        answers = (states[end] if end != i else "·" for end in found[i])
        print(f"{state:<{width}}" + "".join(f"{answer:>{width}}" for answer in answers))
    _plot(automaton, found, right, directory / "automaton.png")
    automaton_model(automaton).save(directory / "model.keras")
    if question:
        answer, path = follow(automaton, *question)
        result["question"], result["answer"] = options.ask, answer
        print(f"{options.ask} {path}")
    if options.prompt:
        converse(automaton)
    return result


def automaton_model(automaton):
    """The functional model that is nothing but an automaton: from a state vector and a label's index to a state vector.

    Args:
        automaton: `FiniteAutomaton`.

    Returns:
        `keras.Model`.
    """
    import keras

    state = keras.Input((automaton.num_neurons,), name="state")
    label = keras.Input((), dtype="int32", name="label")
    return keras.Model([state, label], automaton(state, label))


def parse_question(text, states, labels, present=None):
    """Finds the state and the labels that a question names.

    Either the state comes first and the labels follow in the order of the steps, "Bart's father's wife", or the other
    way round, "the wife of the father of Bart". Without a state the question goes on from the present one.

    Args:
        text: The question. Case does not matter, and neither do words that are no names.
        states: Names of the states.
        labels: Names of the labels.
        present: State to go on from, or `None`.

    Returns:
        Pair of the state and a list of labels.

    Raises:
        ValueError: If no state or no label is named, or states are named between the labels.

    Example:

    >>> parse_question("Who is Bart's father's wife?", ["Bart"], ["wife", "father"])
    ('Bart', ['father', 'wife'])
    >>> parse_question("Who is the wife of the father of Bart?", ["Bart"], ["wife", "father"])
    ('Bart', ['father', 'wife'])
    """
    names = {str(name).casefold(): (name, False) for name in labels}
    names.update({str(name).casefold(): (name, True) for name in states})
    # Longer names first: one may begin with another.
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    found = [names[name] for name in re.findall(rf"(?<!\w)(?:{pattern})(?!\w)", text.casefold())]
    steps = [name for name, is_state in found if not is_state]
    named = [place for place, (_, is_state) in enumerate(found) if is_state]
    hint = f"States: {', '.join(map(str, states))}. Labels: {', '.join(map(str, labels))}."
    if not steps:
        raise ValueError(f"The question names no label: '{text}'. {hint}")
    if not named:
        if present is None:
            raise ValueError(f"The question names no state: '{text}'. {hint}")
        return present, steps
    if named == [0]:
        return found[0][0], steps
    if named == [len(found) - 1]:
        return found[-1][0], steps[::-1]
    raise ValueError(f"The question must name one state, before or after the labels: '{text}'. {hint}")


def follow(automaton, start, labels):
    """Takes steps from a state, and says where they lead.

    Args:
        automaton: `FiniteAutomaton`.
        start: Name of a state.
        labels: Names of labels.

    Returns:
        Pair of the name of the last state, and a text of all of them.
    """
    vector, name, text = automaton.encode([start]), start, str(start)
    for label in labels:
        vector = automaton.step(vector, label)
        (end,) = automaton.decode(vector)
        text += f" –{label}→ {end}" + (" (stays)" if end == name else "")
        name = end
    return name, text


def converse(automaton):
    """Answers questions at a prompt until an empty line or the end of the input.

    Args:
        automaton: `FiniteAutomaton`.
    """
    print("Ask by a state and labels, or by labels alone to go on from the last answer. An empty line ends.")
    present = None
    while True:
        try:
            text = input("? ").strip()
        except EOFError:
            print()
            return
        if not text:
            return
        try:
            present, path = follow(automaton, *parse_question(text, automaton.states, automaton.labels, present))
        except ValueError as error:
            print(error)
        else:
            print(path)


def read_images(folder, states):
    """Patterns of states from images.

    Args:
        folder: Where there is an image for each state with its name, PNG, JPEG, BMP or GIF, all of one size.
        states: Names of the states.

    Returns:
        `(states, values)`, from 0 to 1.

    Raises:
        ValueError: If an image is missing, can't be read, or is of another size.
    """
    patterns = []
    for state in states:
        names = [
            path
            for end in ("png", "jpg", "jpeg", "bmp", "gif")
            if (path := pathlib.Path(folder) / f"{state}.{end}").is_file()
        ]
        if not names:
            raise ValueError(f"There is no image '{state}.png' (.jpg, .bmp, .gif) in '{folder}'.")
        patterns.append(decode_image(names[0])[0].ravel() / 255)
    if len({len(pattern) for pattern in patterns}) != 1:
        raise ValueError(f"The images in '{folder}' must be of one size.")
    return np.stack(patterns)


def _plot(automaton, found, right, path):
    from training import plots

    states, labels = automaton.states, automaton.labels
    figure, axes = plots.figure(1, 2, width=5.6, height=4.6)
    recall = automaton.recall
    names = [str(state) for state in states]
    names += [f"{states[start]} + {labels[label]}" for start, label, _ in automaton.transitions]
    recalled = np.asarray(recall.correlations(recall(recall.patterns)))
    image = plots.heat_map(axes[0, 0], recalled, title="correlation of the last state with the memories, Fig. 31")
    small = len(names) <= 40
    if small:
        axes[0, 0].set_xticks(range(len(names)), names, rotation=90, fontsize=6)
        axes[0, 0].set_yticks(range(len(names)), names, fontsize=6)
    axes[0, 0].set(xlabel="memory", ylabel="trigger")
    figure.colorbar(image, ax=axes[0, 0], shrink=0.7)
    table = axes[0, 1]
    table.imshow(np.where(right, 1, 0), cmap="RdYlGn", vmin=-0.6, vmax=1.6, aspect="auto", alpha=0.5)
    table.set(title=f"answers: {int(right.sum())} of {right.size} right", xlabel="label", ylabel="state")
    if small:
        table.set_xticks(range(len(labels)), labels, rotation=45, fontsize=8)
        table.set_yticks(range(len(states)), states, fontsize=8)
        for i, row in enumerate(found):
            for j, end in enumerate(row):
                text = "stays" if end == i else states[end]
                table.text(j, i, text, ha="center", va="center", fontsize=7, color="0.5" if end == i else "black")
    plots.save(figure, path)
