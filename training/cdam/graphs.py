"""Graphs that a user brings, as files, and graphs in order."""

import ast
import json
import pathlib


def in_order(graph):
    """The same graph with its nodes in the order of the memories, that of `keras_kuramoto.ops.memory_graph`.

    Args:
        graph: NetworkX graph.

    Returns:
        NetworkX graph of the same kind, with the nodes' and edges' attributes.
    """
    from keras_kuramoto.ops._edges import node_order

    ordered = graph.__class__()
    ordered.add_nodes_from((node, graph.nodes[node]) for node in node_order(graph))
    ordered.add_edges_from(graph.edges(keys=True, data=True) if graph.is_multigraph() else graph.edges(data=True))
    return ordered


def read_graph(path):
    """Reads a graph from a file.

    Args:
        path: `.graphml`; `.gml`, whose nodes have their labels as names, or their ids where one has no label; `.json`
            (NetworkX's node-link data); or any other file as lines of `source target`, `source target weight` or
            `source target {attributes}`. In lines there are commas, semicolons or tabs between the columns, or blanks
            where there is none of those; what follows a `#` is left out, and of lines with the same two nodes the last
            one counts.

    Returns:
        NetworkX graph.

    Raises:
        ValueError: If there is no such file, or it holds no such graph.
    """
    import networkx as nx

    path = pathlib.Path(path)
    read = {".graphml": _read_graphml, ".gml": _read_gml, ".json": _read_node_link}.get(path.suffix, _read_edge_list)
    text = _read_text(path)
    try:
        graph = read(text)
    except (
        # What the parsers raise of a file that is not as they expect it.
        *(ValueError, LookupError, TypeError, AttributeError, SyntaxError, RecursionError),
        nx.NetworkXException,
    ) as error:
        raise ValueError(f"'{path}' holds no graph that can be read: {str(error).rstrip('.')}.") from None
    if not len(graph):
        raise ValueError(f"'{path}' holds a graph without nodes.")
    return graph


def _read_graphml(text):
    import networkx as nx

    return nx.parse_graphml(text)


def _read_gml(text):
    import networkx as nx

    graph = nx.parse_gml(text, label="id")
    named = all("label" in data for _, data in graph.nodes(data=True))
    return nx.parse_gml(text, label="label") if named else graph


def _read_node_link(text):
    import networkx as nx

    data = json.loads(text)
    # Versions of NetworkX before 3.4 wrote the edges as "links".
    return nx.node_link_graph(data, edges="links" if "links" in data and "edges" not in data else "edges")


def _read_edge_list(text):
    import networkx as nx

    graph = nx.Graph()
    for number, line in enumerate(text.splitlines(), 1):
        names, brace, attributes = line.partition("#")[0].partition("{")
        if not names.strip() and not brace:
            continue
        columns = _columns(names)
        try:
            data = ast.literal_eval(brace + attributes) if brace else {}
            source, target, *weight = [column for column in columns if column] if brace else columns
            if len(weight) > 1 or (weight and brace) or not all(columns[:2]):
                raise ValueError
            graph.add_edge(source, target, **data, **({"weight": float(weight[0])} if weight else {}))
        except (ValueError, SyntaxError, TypeError):
            raise ValueError(
                f"line {number} is no edge 'source target' or 'source target weight': '{line.strip()}'"
            ) from None
    return graph


def read_transitions(path):
    """Reads the labelled transitions of a finite automaton.

    Args:
        path: `.graphml`, `.gml` or `.json` (node-link data) of a directed graph whose edges have the attribute
            `label`; or any other file as lines of three columns, `state label next`, with commas, semicolons or tabs
            between them, or blanks where there is none of those. Lines that start with `#` are left out.

    Returns:
        List of `(state, label, next state)`, strings.

    Raises:
        ValueError: If there is no such file, an edge has no label, or a line has another number of columns.
    """
    path = pathlib.Path(path)
    if path.suffix in (".graphml", ".gml", ".json"):
        graph = read_graph(path)
        if not graph.is_directed():
            raise ValueError(f"The transitions in '{path}' have no direction: it must hold a directed graph.")
        triples = [(source, data.get("label"), target) for source, target, data in graph.edges(data=True)]
        for source, label, target in triples:
            if label is None:
                raise ValueError(f"The edge from '{source}' to '{target}' in '{path}' has no attribute 'label'.")
        return [tuple(str(part) for part in triple) for triple in triples]
    triples = []
    for number, line in enumerate(_read_text(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        triple = tuple(_columns(line))
        if len(triple) != 3 or not all(triple):
            raise ValueError(f"Line {number} of '{path}' is no transition 'state, label, next': '{line.strip()}'.")
        triples.append(triple)
    return triples


def _columns(line):
    separator = next((sign for sign in ",;\t" if sign in line), None)
    return [part.strip() for part in line.split(separator)]


def _read_text(path):
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"'{path}' can't be read: {error}.") from None
