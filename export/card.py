"""What a version tells of itself: the model card, and sums of its files by which a copy can be told to be the same."""

import hashlib
import json
import pathlib

from export.declaration import table
from export.versions import EXTRA

SUMS = "SHA256SUMS"
CARD = "model_card.md"


def origin(source, licence=None):
    """Where a model comes from, as far as it is written down: for the model card.

    Args:
        source: What the model was loaded from, as for `training.source.load_model`.
        licence: Under which licence the weights may be used, if that is known.

    Returns:
        Dictionary with `source`, and where they are known `experiment`, `preset`, `data`, `steps`, `metrics` and
        `licence`.
    """
    from training.runs import RunDirectory

    path = pathlib.Path(source)
    facts = {"source": path.name if path.exists() else str(source)}
    if path.is_dir():
        run = RunDirectory(path)
        config = run.read_config() if run.exists else {}
        options = config.get("options", {})
        facts |= {name: config[name] for name in ("experiment", "preset") if config.get(name)}
        facts |= {"data": options["data"]} if options.get("data") else {}
        results = json.loads(run.results.read_text()) if run.results.is_file() else []
        # A training adds to a list; other experiments write what they found.
        trained = [one for one in results if "step" in one and "test" in one] if isinstance(results, list) else []
        if trained:
            facts |= {"steps": trained[-1]["step"], "metrics": _numbers(trained[-1]["test"])}
    elif not path.exists():
        # A preset's weights come with the library, under its licence.
        facts |= {"preset": str(source), "licence": "Apache-2.0", **_trained_on(str(source))}
    return facts | ({"licence": licence} if licence else {})


def _trained_on(preset):
    """What is known of the training of a preset's weights: the experiment with a preset of that name, and its data."""
    from training.experiments import EXPERIMENTS

    for name, entry in EXPERIMENTS.items():
        options = entry.load()[1].get(preset)
        if options is not None:
            return {"experiment": name, **({"data": options.data} if hasattr(options, "data") else {})}
    return {}


def _numbers(results):
    """The numbers of nested results, by names such as `steps/16`."""
    found = {}
    for name, value in results.items():
        if isinstance(value, dict):
            found |= {f"{name}/{inner}": number for inner, number in _numbers(value).items()}
        elif isinstance(value, (int, float)):
            found[name] = value
    return found


def write_card(version, declaration, description):
    """Writes the model card of a version, Markdown.

    Args:
        version: Directory of the version.
        declaration: Its `Declaration`.
        description: What `export.json` says.
    """
    facts, settings = description.get("origin", {}), declaration.settings
    metrics = facts.get("metrics", {})
    lines = [
        f"# {description['name']}",
        "",
        f"{declaration.text} A {description['model']} with {description['parameters']:,} parameters, exported with "
        f"TensorFlow {description['written_by']['tensorflow']} and Keras {description['written_by']['keras']}.",
        "",
        "| | |",
        "| --- | --- |",
        *(
            f"| {name} | {facts.get(key, 'not stated')} |"
            for name, key in (
                ("trained from", "source"),
                ("experiment", "experiment"),
                ("preset", "preset"),
                ("data", "data"),
                ("updates", "steps"),
                ("licence of the weights", "licence"),
            )
        ),
        f"| weights stored as | {description['weights']} |",
        "",
        "## Metrics",
        "",
        "On the test data, at the last evaluation of the training:" if metrics else "None were found with the model.",
        "",
        *(["| metric | value |", "| --- | ---: |"] if metrics else []),
        *(f"| {name} | {value:.4g} |" for name, value in metrics.items()),
        *([""] if metrics else []),
        "## Limits",
        "",
        "A request beyond them is refused with INVALID_ARGUMENT.",
        "",
        "| setting | value |",
        "| --- | ---: |",
        *(f"| `{name}` | {value:g} |" for name, value in settings.items()),
        "",
        "## Signatures",
        "",
        table(declaration),
        "",
    ]
    (version / EXTRA / CARD).write_text("\n".join(lines))


def write_sums(version):
    """Writes `assets.extra/SHA256SUMS`, which `sha256sum -c` takes inside the version's directory.

    Returns:
        The version's content hash: that of this file.
    """
    path = version / EXTRA / SUMS
    path.write_text("".join(f"{digest}  {name}\n" for name, digest in _digests(version).items()))
    return content_hash(version)


def content_hash(version):
    """The SHA-256 of `assets.extra/SHA256SUMS`, which stands for all files of a version; `None` if it isn't there."""
    path = pathlib.Path(version) / EXTRA / SUMS
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def wrong_files(version):
    """Sentences on files that are not as `SHA256SUMS` says; empty if all are.

    Raises:
        ValueError: If the file isn't there or isn't such a list.
    """
    path = pathlib.Path(version) / EXTRA / SUMS
    try:
        lines = path.read_text().splitlines()
        wanted = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except FileNotFoundError:
        raise ValueError(f"'{path}' is missing: the model was not written by this exporter.") from None
    except ValueError:
        raise ValueError(f"'{path}' is damaged.") from None
    found = _digests(pathlib.Path(version))
    return [
        *(f"{name} is missing" for name in sorted(set(wanted) - set(found))),
        *(f"{name} is not of the export" for name in sorted(set(found) - set(wanted))),
        *(f"{name} was changed" for name in sorted(set(found) & set(wanted)) if found[name] != wanted[name]),
    ]


def _digests(version):
    """The SHA-256 of each file but `SHA256SUMS` itself, by its path in the version."""
    files = sorted(path for path in version.rglob("*") if path.is_file() and path.name != SUMS)
    return {path.relative_to(version).as_posix(): _digest(path) for path in files}


def _digest(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
