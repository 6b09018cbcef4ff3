"""`python -m benchmarks.coupled_memory`: a training step of the Hopfield-Kuramoto memory, and what was tried for it.

The memory has 1,094 neurons on a Watts-Strogatz graph with 150 neighbours each, oscillators in R^5 and the additive
coupling; it is integrated to t = 1 with rtol 1e-3 and atol 1e-6. A training step is the loss at t = 1 and its gradients
with respect to the oscillators' weights, their natural frequency, the coupling's strength and the initial oscillators.
Prints its time, that of the Hopfield memory alone, and the ways to compute the interaction of the oscillators beside
the one that the library takes, as ratios in one run.
"""

import argparse
import json
import resource
import time

import keras
import networkx as nx
import numpy as np
import tensorflow as tf
from keras import ops

from keras_kuramoto import potentials
from keras_kuramoto.layers import NaturalFrequency, SymmetricDenseConnectivity
from keras_kuramoto.layers.couplings import AdditiveCoupling
from keras_kuramoto.layers.hopfield_kuramoto_memory import HopfieldKuramotoMemory
from keras_kuramoto.layers.hopfield_memory import HopfieldMemory
from keras_kuramoto.layers.kuramoto_memory import KuramotoMemory
from keras_kuramoto.ops import random_on_sphere
from keras_kuramoto.ops.pairs import EdgePairs

NODES = 1094
# Seconds that the authors' JAX code took with the defaults, on another machine with two CPU cores.
AUTHORS = {"coupled": 10.4, "Hopfield alone": 1.03}


def best(functions, arguments, rounds):
    """Shortest time of each function, called in turn: the machine's speed drifts."""
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            tf.nest.map_structure(lambda tensor: tensor.numpy(), function(*arguments))
            times[name].append(time.perf_counter() - start)
    return {name: min(values) for name, values in times.items()}


def compiled(function, arguments):
    """The function under XLA and the seconds that its first call took."""
    function = tf.function(function, jit_compile=True, autograph=False)
    start = time.perf_counter()
    function(*arguments)
    return function, time.perf_counter() - start


def solves(batch_size, neighbours, dim):
    """The solves to t = 1, forward and with gradients, of the coupled memory and of the Hopfield memory alone."""
    graph = nx.watts_strogatz_graph(NODES, neighbours, 0.1, seed=0)
    hopfield = HopfieldMemory(SymmetricDenseConnectivity(), "relu")
    kuramoto = KuramotoMemory("relu", graph, natural_frequency=NaturalFrequency(dim))
    coupled = HopfieldKuramotoMemory(hopfield, kuramoto, AdditiveCoupling(graph, strength=0.02))
    x = keras.random.normal((batch_size, NODES), seed=1)
    mu = random_on_sphere((batch_size, NODES, dim), seed=2)
    coupled.build((tuple(x.shape), tuple(mu.shape)))

    def gradients(solve, sources, x, mu):
        with tf.GradientTape() as tape:
            tape.watch([*sources, mu])
            loss = tf.reduce_mean(tf.square(solve(x, mu)[:, -10:]))
        found = tape.gradient(loss, [*sources, mu], unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return loss, [tf.convert_to_tensor(gradient) for gradient in found]

    of_hopfield = [variable.value for variable in hopfield.trainable_variables]
    hopfield.trainable = False
    of_oscillators = [variable.value for variable in coupled.trainable_variables]

    def steps(x, mu):
        solution = coupled.trajectory((x, mu), [1.0])
        return solution.num_steps, solution.num_accepted

    functions = {
        "coupled, forward": lambda x, mu: coupled((x, mu)),
        "coupled, training": lambda x, mu: gradients(lambda x, mu: coupled((x, mu))[0], of_oscillators, x, mu),
        "Hopfield alone, forward": lambda x, mu: hopfield(x),
        "Hopfield alone, training": lambda x, mu: gradients(lambda x, mu: hopfield(x), of_hopfield, x, mu),
    }
    return functions, steps, (x, mu)


def interactions(batch_size, neighbours, dim):
    """Ways to compute the interaction and its gradient once: pairs of functions, the library's own way first."""
    edges = np.array(nx.watts_strogatz_graph(NODES, neighbours, 0.1, seed=0).edges)
    potential = potentials.get("relu")
    rng = np.random.default_rng(0)
    mu, upstream = (tf.constant(rng.standard_normal((batch_size, NODES, dim)), tf.float32) for _ in range(2))
    weights = [tf.constant(rng.standard_normal(len(edges)), tf.float32) for _ in range(2)]

    def of(pairs, interaction=None):
        interaction = interaction or pairs.interaction
        fixed = [pairs.loop_weights(weight) for weight in weights]

        def forward():
            return interaction(mu, *fixed, potential)

        def gradients():
            with tf.GradientTape() as tape:
                tape.watch([mu, fixed])
                result = forward()
            return tape.gradient(result, [mu, *fixed], upstream)

        return forward, gradients

    def matrices(**attributes):
        pairs = EdgePairs(edges, NODES, dense=True)
        for name, value in attributes.items():
            setattr(pairs, name, value)
        return pairs

    def plain(mu, linear, nonlinear, potential):
        products = mu @ ops.swapaxes(mu, 1, 2)
        return (linear + nonlinear * potential.derivative(products)) @ mu

    everything = NODES**2
    return {
        "rows of one example at a time": of(matrices()),
        "one example at a time": of(matrices(block_entries=everything)),
        "all examples at once": of(matrices(small_entries=everything)),
        "all at once, automatic gradient": of(matrices(), plain),
        "along the edges": of(EdgePairs(edges, NODES, dense=False)),
    }


def main():
    """Runs the benchmark and prints its tables, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coupled_memory", description=__doc__.splitlines()[0])
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--neighbours", type=int, default=150)
    parser.add_argument("--dim", type=int, default=5, help="components of an oscillator")
    parser.add_argument("--json", action="store_true", help="print JSON in place of tables")
    parser.add_argument("--rounds", type=int, default=5, help="calls of which the fastest counts")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    # It warns that several functions are compiled, as they are meant to be.
    tf.get_logger().setLevel("ERROR")

    sizes = (options.batch_size, options.neighbours, options.dim)
    functions, steps, arguments = solves(*sizes)
    timed, first = {}, {}
    for name, function in functions.items():
        timed[name], first[name] = compiled(function, arguments)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    seconds = best(timed, arguments, options.rounds)
    tried, accepted = (int(tf.reduce_max(count)) for count in compiled(steps, arguments)[0](*arguments))

    ways = {
        (name, kind): compiled(function, ())[0]
        for name, pair in interactions(*sizes).items()
        for kind, function in zip(("forward", "gradients"), pair)
    }
    way_seconds = best(ways, (), 4 * options.rounds)
    result = {
        "seconds": seconds,
        "compile_seconds": {name: first[name] - seconds[name] for name in seconds},
        "steps": tried,
        "accepted_steps": accepted,
        "peak_memory_gib": memory,
        "interaction_ms": {f"{name}, {kind}": 1e3 * value for (name, kind), value in way_seconds.items()},
    }
    if options.json:
        print(json.dumps(result, indent=1))
        return
    print(
        f"Hopfield-Kuramoto memory, {NODES} neurons, {options.neighbours} neighbours, D = {options.dim}, batch "
        f"{options.batch_size}, TensorFlow with XLA: {accepted} accepted of {tried} steps at the most"
    )
    for name, value in seconds.items():
        line = f"{name:25s} {value:6.2f} s   compiled in {result['compile_seconds'][name]:5.1f} s"
        authors = AUTHORS[name.split(",")[0]] if "training" in name else None
        if authors and sizes == (10, 150, 5):
            line += f"   authors' code, on another machine: {authors} s"
        print(line)
    print(f"peak memory of the process: {memory:.1f} GiB")
    print("\none evaluation of the interaction, and its ratio to the library's own way")
    own = next(iter(way_seconds))[0]
    for (name, kind), value in way_seconds.items():
        print(f"{name:34s} {kind:10s} {1e3 * value:7.1f} ms {value / way_seconds[own, kind]:6.2f}")


if __name__ == "__main__":
    main()
