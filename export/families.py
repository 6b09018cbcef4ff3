"""The families of served models, each declared once. See `export.declaration` for what the parts mean."""

from export.declaration import COMPILED, Family, Setting, Signature, Tensor

_MAX_STEPS = Setting("max_steps", "largest number of steps of a request", 1024, needs="oscillators")
_NUM_STEPS = Tensor("num_steps", "int32", (), "number of steps", 1, "max_steps", scalar=True, needs="oscillators")
_TOLERANCE = Setting(
    "tolerance",
    "an example rests after a step in which no component of its oscillators moves by as much; 0 for all the steps",
    0.0,
    whole=False,
    needs="oscillators",
)
_STEPS = Tensor("steps", "int32", text="steps that were taken", needs="oscillators")
_SEED = Tensor("seed", "int32", (), "seed of the initial oscillators", scalar=True, needs="oscillators")


def _compiled(inputs, answers):
    text = "As `serving_default`, compiled by XLA."
    return Signature(COMPILED, text, inputs, answers, needs="xla")


def _sudoku():
    board = Tensor("board", "int32", ("size", "size"), "digits, 0 for a blank cell", 0, "size")
    samples = Tensor("num_samples", "int32", (), "initial oscillators that are tried", 1, "max_samples", scalar=True)
    answers = (
        Tensor("solution", "int32", ("size", "size"), "given digits as they are, the model's elsewhere"),
        Tensor("solved", "int32", text="1 if the solution breaks no rule of Sudoku, 0 if it is wrong"),
        Tensor("probability", "float32", ("size", "size"), "that of each digit, 1 for a given one"),
        Tensor("energy", "float32", text="of the state from which the last step starts", needs="oscillators"),
        _STEPS,
    )
    votes = (
        Tensor("energy_sum", "float32", text="the sum over the steps, by which the vote decides"),
        Tensor("sample", "int32", text="number of the sample that won"),
    )
    return Family(
        "sudoku",
        "Solves Sudoku boards.",
        (
            Signature("serving_default", "As many steps as the model takes by itself.", (board,), answers),
            _compiled((board,), answers),
            Signature(
                "solve_steps",
                "Another number of steps for each board.",
                (board, _NUM_STEPS),
                answers,
                needs="oscillators",
            ),
            Signature(
                "vote",
                "The answer of lowest energy among several initial oscillators.",
                (board, _NUM_STEPS, samples, _SEED),
                (*answers, *votes),
                needs="oscillators",
            ),
            Signature(
                "search",
                "The first solution of several initial oscillators that fill the board cell by cell.",
                (board, _NUM_STEPS, samples, _SEED),
                (*answers, *votes),
                needs="oscillators",
            ),
        ),
        (
            _MAX_STEPS,
            _TOLERANCE,
            Setting("max_samples", "largest number of samples of a vote or a search", 4096, needs="oscillators"),
        ),
    )


_IMAGE = Tensor("image", "uint8", ("height", "width", 3), "colours of the pixels")
_IMAGE_BYTES = Tensor("image_bytes", "string", (), "JPEG or PNG files of just this height and width", 1, "max_bytes")
_MAX_BYTES = Setting("max_bytes", "largest number of bytes of a JPEG or PNG file (default: by the image's size)")


def _objects():
    answers = (
        Tensor("features", "float32", ("rows", "columns", "channels"), "of unit length, one for each patch"),
        Tensor("labels", "int32", ("height", "width"), "the cluster of each pixel's patch, from 0 in order"),
        _STEPS,
    )
    clusters = Tensor("clusters", "int32", (), "number of clusters", 1, "max_clusters", scalar=True)
    return Family(
        "objects",
        "Finds the objects in images.",
        (
            Signature("serving_default", "Images as numbers.", (_IMAGE,), answers),
            _compiled((_IMAGE,), answers),
            Signature("encoded", "Images as files.", (_IMAGE_BYTES,), answers),
            Signature(
                "find_objects",
                "Other numbers of clusters and steps, and other initial oscillators.",
                (_IMAGE, clusters, _NUM_STEPS, _SEED),
                answers,
            ),
        ),
        (
            _MAX_BYTES,
            Setting("clusters", "number of clusters, objects and background, where a request doesn't say", 4),
            Setting("max_clusters", "largest number of clusters (default: 32, or the patches if there are fewer)"),
            Setting("kmeans_steps", "steps of k-means", 10),
            Setting("max_steps", _MAX_STEPS.text, 128, needs="oscillators"),
            _TOLERANCE,
        ),
    )


def _image_classifier():
    answers = (
        Tensor("probabilities", "float32", ("classes",), "averages over initial oscillators"),
        Tensor("label", "int32", text="the most probable class"),
    )
    members = Tensor("members", "int32", (), "initial oscillators that are averaged", 1, "max_samples", scalar=True)
    return Family(
        "image_classifier",
        "Tells the classes of images.",
        (
            Signature("serving_default", "Images as numbers.", (_IMAGE,), answers),
            _compiled((_IMAGE,), answers),
            Signature("encoded", "Images as files.", (_IMAGE_BYTES,), answers),
            Signature(
                "ensemble",
                "Other numbers of initial oscillators, and other ones.",
                (_IMAGE, members, _SEED),
                answers,
                needs="oscillators",
            ),
        ),
        (
            _MAX_BYTES,
            Setting("members", "initial oscillators averaged where a request doesn't say", 1, needs="oscillators"),
            Setting("max_samples", "largest number of members of an ensemble", 256, needs="oscillators"),
        ),
    )


def _classifier():
    shape = ("height", "width")
    return Family(
        "classifier",
        "Tells the classes of images by an associative memory.",
        (
            Signature(
                "serving_default",
                "Recalls the class.",
                (
                    Tensor("image", "float32", shape, "an image", 0, 1),
                    Tensor("cue", "float32", shape, "an image that says what to do with the first", 0, 1, needs="cue"),
                    Tensor("alignment", "float32", (), "chooses a computation", 0, 1, needs="alignment"),
                ),
                (
                    Tensor("scores", "float32", ("classes",), "about 1 for the class and -1 for the others"),
                    Tensor("label", "int32", text="the class with the highest score"),
                ),
            ),
        ),
    )


# Beyond this, products of float32 numbers with large patterns could overflow, and the answer be NaN.
_MAX_VALUE = Setting("max_value", "largest absolute value in a state", 1e6, whole=False)


def _recall():
    state = Tensor("state", "float32", ("neurons",), "a state to start from", "-max_value", "max_value")
    answers = (
        Tensor("state", "float32", ("neurons",), "the state after the last step"),
        Tensor("pattern", "int32", text="the row of the pattern that it is most like"),
        Tensor("correlation", "float32", text="Pearson's correlation with this pattern"),
    )
    return Family(
        "recall",
        "Recalls patterns.",
        (
            Signature("serving_default", "With the memory's own strengths.", (state,), answers),
            Signature(
                "recall",
                "With strengths of its own for each state.",
                (
                    state,
                    Tensor("a", "float32", (), "strength of the auto-association", "-max_value", "max_value"),
                    Tensor("h", "float32", (), "of the hetero-association", "-max_value", "max_value", needs="graph"),
                ),
                answers,
            ),
        ),
        (_MAX_VALUE,),
    )


def _automaton():
    answers = (
        Tensor("state", "float32", ("neurons",), "the state's vector, which the next request takes"),
        Tensor("name", "string", text="the name of the state that it is most like"),
    )
    return Family(
        "automaton",
        "Walks through a finite automaton.",
        (
            Signature(
                "serving_default",
                "Takes a step.",
                (
                    Tensor("state", "float32", ("neurons",), "a state's vector", "-max_value", "max_value"),
                    Tensor("label", "int32", (), "index of a label", 0, "last_label"),
                ),
                answers,
            ),
            Signature(
                "start",
                "The vectors of states to start from.",
                (Tensor("index", "int32", (), "index of a state", 0, "last_state"),),
                answers,
            ),
        ),
        (_MAX_VALUE,),
    )


SUDOKU, OBJECTS, IMAGE_CLASSIFIER = _sudoku(), _objects(), _image_classifier()
CLASSIFIER, RECALL, AUTOMATON = _classifier(), _recall(), _automaton()
#: All families, by their kind.
FAMILIES = {family.kind: family for family in (SUDOKU, OBJECTS, IMAGE_CLASSIFIER, CLASSIFIER, RECALL, AUTOMATON)}
