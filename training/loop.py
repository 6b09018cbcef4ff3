"""The loop that trains every experiment.

An experiment brings its model, its batches and its loss; the loop turns many updates into one `tf.function`, runs them
on any strategy, and alone knows when to save, evaluate and stop.
"""

import contextlib
import gc
import json
import math
import sys
import time

import keras
import tensorflow as tf

from training import failures, plots
from training.checkpoints import Checkpoints
from training.inputs import check_batch_size, distributed_batches, timed_next
from training.interruptions import Interruptions
from training.runs import write_json
from training.strategies import is_chief, num_workers
from training.summaries import Summaries
from training.update import Update

# Rows of a batch that a message shows; a file has all.
_SHOWN_ROWS = 8


class Trainer:
    """Runs an experiment in a run directory.

    Args:
        experiment: An `Experiment`.
        run: A `RunDirectory` that exists once `train` is called.
        strategy: A `tf.distribute.Strategy`.
        verbose: Whether to draw a progress bar and print evaluations (the chief only).
        profile: `(first, last)`: updates of which a profile is written to the logs; `None` for none.

    Raises:
        ValueError: If the batch does not divide among the replicas, the experiment has no batches of that size, or its
            evaluation is not for its model.
    """

    def __init__(self, experiment, run, strategy, verbose=True, profile=None):
        self.experiment, self.run, self.strategy = experiment, run, strategy
        self.options = options = experiment.options
        self.chief = is_chief(strategy)
        self.verbose = verbose and self.chief
        self._profile = profile
        check_batch_size(options.batch_size, strategy.num_replicas_in_sync)
        # What is wrong with the data shows before a run is made.
        experiment.batches(0)
        self._update = update = Update(experiment, strategy)
        self.model, self.average, self.optimizer = update.model, update.average, update.optimizer
        # Likewise what an evaluation would else find hours later.
        experiment.check_model(self.average)
        weights = {id(v) for v in self.model.weights}
        state = {
            "model": [v.value for v in self.model.weights],
            "average": [v.value for v in self.average.weights],
            "optimizer": [v.value for v in self.optimizer.variables],
            # The states of random generators, such as dropout's.
            "seeds": [v.value for v in self.model.non_trainable_variables if id(v) not in weights],
            "carried": update.carried.variables,
        }
        best = options.best_mode if options.best_metric else None
        self.checkpoints = Checkpoints(run.checkpoints, state, options.keep_checkpoints, best)
        self._compiled = tf.function(self._many_updates)

    @property
    def step(self):
        """Number of updates made."""
        return int(self.optimizer.iterations.numpy())

    def restore(self):
        """Goes back to the newest whole checkpoint, if there is one, and says so of newer ones that are damaged.

        Returns:
            The number of updates made before it (0 without a checkpoint).

        Raises:
            ValueError: If the checkpoint is of another model, there are some and none is whole, or the workers do not
                see the same ones.
        """
        step, damaged = self.checkpoints.restore()
        if damaged and self.chief:
            print("\n".join([*damaged, f"Going on from the checkpoint of update {step}."]), file=sys.stderr, flush=True)
        steps = self._of_all_workers(step)
        if len(set(steps)) > 1:
            raise ValueError(
                f"The workers find checkpoints of different updates, {', '.join(map(str, steps))}. The run directory "
                f"'{self.run.path}' must be on a file system that all of them share."
            )
        return step

    def train(self):
        """Trains from the present step to the last, evaluating and saving on the way.

        An interruption ends the updates in progress, saves a checkpoint and is raised.

        Returns:
            The last evaluation, a dictionary.

        Raises:
            KeyboardInterrupt: After Ctrl-C.
            RunError: After SIGTERM, if the loss is not finite, if a file can't be written, or if another worker does
                not answer any more.
        """
        with contextlib.ExitStack() as stack:
            stack.enter_context(_collecting_here())
            try:
                summaries = stack.enter_context(Summaries(self.run.logs, self.chief, self._profile))
                results = self._train(summaries, stack.enter_context(Interruptions(self.strategy)))
                self._report()
            except OSError as error:
                raise failures.FilesError(
                    f"The run directory '{self.run.path}' can't be written: {failures.reason(error)}. Mend this and go "
                    f"on with --resume, from the checkpoint of update {self.checkpoints.latest() or 0}."
                ) from error
            except tf.errors.OpError as error:
                raise failures.of_operation(error, num_workers(self.strategy)) or error from None
            finally:
                # What is being written when a run stops is worth having.
                with contextlib.suppress(failures.FilesError):
                    self.checkpoints.wait()
        return results

    # --- updates ----------------------------------------------------------------------------------------------------

    def _many_updates(self, iterator, count):
        """Makes updates.

        Returns:
            The means of the metrics, in the order of the update's `metrics`; the seconds that input was waited for; and
            the first update, counted from 0, whose loss or gradient is not finite, -1 if there is none.
        """
        # As many as there are metrics, which is known once an update is traced. Tracing another one to know it before
        # would take as long, and compiling it much longer.
        sums, waited, bad = tf.zeros([1]), tf.zeros([], tf.float64), -1
        for index in tf.range(count):
            tf.autograph.experimental.set_loop_options(shape_invariants=[(sums, tf.TensorShape([None]))])
            batch, seconds = timed_next(iterator, [sums])
            # With one thread the update would else come before the end of the time.
            with tf.control_dependencies([seconds]):
                values = self._update(batch)
            names = self._update.metrics
            finite = tf.math.is_finite(values[names.index("loss")] + values[names.index("gradient_norm")])
            bad = tf.where(finite | (bad >= 0), bad, index)
            waited += seconds
            sums += values
        return sums / tf.cast(count, tf.float32), waited, bad

    def _call(self, iterator, count):
        """Makes updates and returns the means of their metrics, by name."""
        before = self.step
        started = time.perf_counter()
        means, waited, bad = self._compiled(iterator, tf.constant(count))
        metrics = dict(zip(self._update.metrics, means.numpy().tolist()))
        elapsed = time.perf_counter() - started
        if int(bad) >= 0:
            self._stop_diverged(before + int(bad), metrics)
        return {**metrics, "step_seconds": elapsed / count, "input_wait": float(waited) / elapsed}

    def _stop_diverged(self, before, metrics):
        """Says of an update that its loss or its gradient is not finite. Its weights are in no file."""
        self.checkpoints.wait()
        rows, last = self.experiment.rows(before), self.checkpoints.latest()
        if self.chief:
            found = {"update": before + 1, "rows": rows, "means": {n: repr(value) for n, value in metrics.items()}}
            write_json(self.run.divergence, {**found, "checkpoint": last})
        options = self.options
        shown = ", ".join(map(str, (rows or [])[:_SHOWN_ROWS])) + (", …" if len(rows or []) > _SHOWN_ROWS else "")
        kept = f"The last good checkpoint is of update {last}" if last is not None else "There is no checkpoint yet"
        raise failures.DivergedError(
            f"The {'loss' if not math.isfinite(metrics['loss']) else 'gradient'} is not finite at update {before + 1}"
            + (f", of the training examples {shown} ({self.run.divergence} has all)" if rows else "")
            + f". {kept}, and nothing was written over it. Try, in another --run-dir, a lower learning_rate (here "
            f"{options.learning_rate:g}), a smaller clip_norm (here {options.clip_norm:g}"
            + (", which clips nothing" if not options.clip_norm else "")
            + "), or training data without what is wrong with these examples."
        )

    # --- the run ----------------------------------------------------------------------------------------------------

    def _train(self, summaries, interruptions):
        options = self.options
        if self.chief:
            self.run.forget_results_after(self.step)
        if self.step >= options.steps:
            # A finished run that is resumed has nothing left but to write its model, such as for another version.
            self._write_model()
        if options.best_metric and not self.step:
            # A name that is wrong shows before an hour of training.
            self._numbers(self.experiment.evaluate(self.average, self.strategy))
        results = self._evaluation_owed(summaries)
        iterator = distributed_batches(self.experiment, self.strategy, self.step)
        bar = None
        while self.step < options.steps:
            if bar is None and self.verbose:
                first = self.step
                last = min(_next_multiple(first, options.evaluate_every), options.steps)
                print(f"Updates {first + 1} to {last} of {options.steps}", flush=True)
                bar = keras.utils.Progbar(last - first, unit_name="update")
            summaries.before_updates(self.step)
            metrics = self._call(iterator, self._next_stop(summaries) - self.step)
            # Not all of it, which takes long.
            gc.collect(1)
            step = self.step
            summaries.after_updates(step)
            summaries.scalars("train", metrics, step)
            if bar is not None:
                bar.update(step - first, values=[(n, v) for n, v in metrics.items() if n not in _NOT_SHOWN])
            self._stop_if_told(interruptions)
            self.checkpoints.check()
            evaluating = step >= options.steps or step % options.evaluate_every == 0
            if step >= options.steps or step % options.checkpoint_every == 0 or (evaluating and options.best_metric):
                self._save()
            if evaluating:
                bar = None
                results = self._evaluate(summaries, metrics)
                gc.collect()
                # Evaluations last long.
                if step < options.steps:
                    self._stop_if_told(interruptions)
        self.checkpoints.wait()
        return results

    def _next_stop(self, summaries):
        """The update after which the next call ends."""
        stops = [_next_multiple(self.step, self.options.steps_per_call), self.options.steps]
        return min(stop for stop in (*stops, summaries.profile_boundary(self.step)) if stop is not None)

    def _stop_if_told(self, interruptions):
        if interruptions.stop():
            self._save()
            self.checkpoints.wait()
            self._write_model()
            raise interruptions.exception()

    def _save(self):
        # The chief writes what all workers carry.
        self._update.carried.collect()
        if self.chief:
            self.checkpoints.save(self.step)

    def _evaluation_owed(self, summaries):
        """Makes the evaluation that a run was stopped before, and returns it, or the one that was made."""
        step, options = self.step, self.options
        done = [result for result in self.run.read_results() if result.get("step") == step and "test" in result]
        if done:
            return done[-1]["test"]
        if step and (step % options.evaluate_every == 0 or step >= options.steps):
            return self._evaluate(summaries, {})
        return {}

    def _evaluate(self, summaries, metrics):
        step = self.step
        results = self.experiment.evaluate(self.average, self.strategy)
        numbers = self._numbers(results)
        if self.verbose:
            print("  " + "  ".join(f"{name} {value:.4f}" for name, value in numbers.items()), flush=True)
        if self.chief:
            summaries.scalars("test", numbers, step)
            summaries.oscillators(self.average, step)
            energies = self.experiment.trajectories(self.average)
            if energies is not None:
                summaries.trajectories(energies, step)
            self.run.add_result({"step": step, "train": metrics, "test": results})
            self._write_model()
            if self.options.best_metric and self.checkpoints.rate(step, numbers[self.options.best_metric]):
                self._write_model(self.run.best)
        return results

    def _numbers(self, results):
        """The numbers of an evaluation that can be drawn, by name: `best_metric` must be one of them."""
        numbers = {name: value for name, value in results.items() if not isinstance(value, dict)}
        if self.options.best_metric and self.options.best_metric not in numbers:
            raise failures.RunError(
                f"`best_metric` must be a number of the evaluation: {', '.join(numbers)}. Received "
                f"'{self.options.best_metric}'."
            )
        return numbers

    def _report(self):
        table, figures = self.experiment.report(self.average, self.strategy)
        if not self.chief:
            return
        for name, figure in figures.items():
            plots.save(figure, self.run.path / name)
        if table:
            self.run.add_result({"step": self.step, "table": table})
            if self.verbose:
                print(json.dumps(table, indent=1), flush=True)

    def _write_model(self, path=None):
        """Writes the averaged weights as a Keras model, whole or not at all."""
        if self.chief:
            path = path or self.run.model
            temporary = path.with_name(f"incomplete-{path.name}")
            try:
                self.average.save(temporary)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)

    def _of_all_workers(self, value):
        """A number of each replica's worker."""
        values = self.strategy.experimental_distribute_values_from_function(lambda _: tf.constant([value]))
        return self.strategy.gather(values, axis=0).numpy().tolist()


# What TensorBoard has and the progress line does not.
_NOT_SHOWN = ("step_seconds", "gradient_norm")


def _next_multiple(value, factor):
    return (value // factor + 1) * factor


@contextlib.contextmanager
def _collecting_here():
    """Inside, Python's garbage is collected by this thread when it says so, and by no other.

    Among the garbage there may be an iterator over data of a training before. Any thread that makes objects may come
    to collect it; one that reads for this very iterator would then wait for its own end.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.collect()
        if enabled:
            gc.enable()
