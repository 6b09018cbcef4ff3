"""The pages of the API, written from the tables by purpose in the docstring of `keras_kuramoto.layers`."""

import functools
import inspect
import pathlib
import re

import sphinx.ext.autosummary

import keras_kuramoto.layers
import keras_kuramoto.models


@functools.cache
def groups():
    """The tables: `{group: [(purpose, [full name, …]), …]}`."""
    found = {}
    for line in keras_kuramoto.layers.__doc__.splitlines():
        if not line.startswith("| ") or line.startswith("| ---"):
            continue
        purpose, names = (cell.strip() for cell in line.strip("|").split("|"))
        if not names:
            rows = found[purpose] = []
            continue
        rows.append((purpose, [_full_name(name) for name in re.findall(r"`([\w.]+)`", names)]))
    return found


def _full_name(name):
    return f"keras_kuramoto.{name}" if "." in name else f"keras_kuramoto.layers.{name}"


@functools.cache
def public_names():
    """From each name as prose has it, `KuramotoLayer` or `ops.normalize`, to the full one."""
    names = {}
    for rows in groups().values():
        for _, full_names in rows:
            for full in full_names:
                short = full.removeprefix("keras_kuramoto.")
                names |= {full: full, short: full}
                last = short.split(".")[-1]
                # Not `get` and the like, which are words too.
                if last != last.lower() or "_" in last:
                    names[last] = full
    return names


def _page(group, rows):
    lines = [group, "=" * len(group), ""]
    for purpose, names in rows:
        title = purpose[0].upper() + purpose[1:]
        shown = [f"   ~{name}" for name in names]
        lines += [
            title,
            "-" * len(title),
            "",
            ".. autosummary::",
            "   :toctree: generated",
            "   :nosignatures:",
            "",
            *shown,
            "",
        ]
    return "\n".join(lines)


def _write(app, config):
    folder = pathlib.Path(app.srcdir, "api")
    folder.mkdir(exist_ok=True)
    for group, rows in groups().items():
        path, text = folder / f"{slug(group)}.rst", _page(group, rows)
        # A file that stays as it was is not read again.
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def slug(group):
    """The name of a group's page."""
    return re.sub(r"\W+", "-", group.lower()).strip("-")


def _literal(match):
    """Code that is no name, and a name with the plural's s behind it."""
    ticks = "`" if re.fullmatch(r"[\w.]+", match[1]) else "``"
    return f"{ticks}{match[1]}{ticks}" + (r"\ s" if match[2] else "")


def _as_restructured_text(app, what, name, obj, options, lines):
    """Docstrings are written as Markdown would have them; where reStructuredText differs, this makes it of them."""
    if isinstance(obj, dict):
        lines[:] = ["A dictionary: " + ", ".join(f"``{key!r}``" for key in obj) + "."]
    text = re.sub(r"(?<!`)`([^`]+)`(?!`)(s\b)?", _literal, "\n".join(lines))
    lines[:] = [line if ">>>" in line or "``" in line else line.replace("|", r"\|") for line in text.splitlines()]
    for index, line in enumerate(lines):
        if line in ("Example:", "Examples:"):
            lines[index] = f".. rubric:: {line[:-1]}"


def _signature(app, what, name, obj, options, signature, returns):
    """Of a layer the arguments of its constructor: Keras wraps it in one that takes anything."""
    if what != "class":
        return None
    parameters = list(inspect.signature(obj.__init__).parameters.values())[1:]
    return str(inspect.Signature(parameters)), returns


def setup(app):
    """Writes the pages before Sphinx looks for pages, and mends docstrings before they are parsed."""
    # A sentence does not end there.
    sphinx.ext.autosummary.WELL_KNOWN_ABBREVIATIONS += ("Eq.", "Fig.", "Sec.", "App.")
    app.connect("config-inited", _write)
    app.connect("autodoc-process-signature", _signature)
    app.connect("autodoc-process-docstring", _as_restructured_text, priority=400)
    return {"parallel_read_safe": True}
